"""Spooler."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS


class Spooler(Section):
    """Spooler."""

    spooler: tuple[str, ...] = option(
        "directory scanned by a spooler process", TEXTS, short="Q", implies=("master",)
    )
    spooler_chdir: str | None = option("directory to chdir into for each task", TEXT)
    spooler_cheap: bool = option("start spoolers on demand", FLAG, since="2.1")
    spooler_external: tuple[str, ...] = option(
        "directory used for enqueueing only (another instance runs it)",
        TEXTS,
        implies=("master",),
    )
    spooler_frequency: float = option(
        "seconds between scans (default 30)",
        SECONDS,
        default=30.0,
        aliases=("spooler-freq",),
        at_least=0,
    )
    spooler_harakiri: float = option("timeout of a task", SECONDS, at_least=0)
    spooler_import: tuple[str, ...] = option(
        "import a module in spooler processes",
        TEXTS,
        aliases=(
            "spooler-py-import",
            "spooler-pyimport",
            "spooler-python-import",
        ),
    )
    spooler_max_tasks: int = option("recycle a spooler after N tasks", INT, at_least=0)
    spooler_ordered: bool = option(
        "scan tasks in name order and honour numeric priority sub-directories",
        FLAG,
        when_true=1,
    )
    spooler_processes: int = option(
        "number of processes per spooler directory", INT, default=1, at_least=0
    )
    spooler_quiet: bool = option("less spooler logging", FLAG)
    spooler_signal_as_task: bool = option(
        "count signals as spooler tasks", FLAG, since="2.1"
    )

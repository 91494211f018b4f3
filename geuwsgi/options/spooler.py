"""Spooler."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS


class Spooler(Section):
    """Spooler."""

    spooler: tuple[str, ...] = option(
        "work on the tasks in this directory", TEXTS, short="Q", implies=("master",)
    )
    spooler_chdir: str | None = option("change to this directory for each task", TEXT)
    spooler_external: tuple[str, ...] = option(
        "put tasks into this directory; another instance works on them",
        TEXTS,
        implies=("master",),
    )
    spooler_frequency: float = option(
        "look for tasks every this many seconds",
        SECONDS,
        default=30.0,
        aliases=("spooler-freq",),
        at_least=0,
    )
    spooler_harakiri: float = option(
        "kill a task after this many seconds", SECONDS, at_least=0
    )
    spooler_import: tuple[str, ...] = option(
        "import a module in spooler processes",
        TEXTS,
        aliases=(
            "spooler-py-import",
            "spooler-pyimport",
            "spooler-python-import",
        ),
    )
    spooler_max_tasks: int = option(
        "recycle a spooler after this many tasks", INT, at_least=0
    )
    spooler_ordered: bool = option(
        "take tasks in the order of their names", FLAG, when_true=1
    )
    spooler_processes: int = option(
        "run this many processes for each spooler", INT, default=1, at_least=0
    )
    spooler_quiet: bool = option("do not log each task", FLAG)
    spooler_signal_as_task: bool = option(
        "count signals towards the tasks of a spooler", FLAG, since="2.1"
    )

"""What a fresh interpreter is told when the master starts it.

The master writes it into an anonymous file and starts the template with that file's
descriptor; the other descriptors it names are inherited under their own numbers. A lone
process, that has no master, gets the same and execs itself.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any

import geuwsgi

NO_FD = -1

_IGNORE_INTERRUPT = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "

# Titles are written over the arguments; this leaves room for a long one.
_TITLE_ROOM = " " * 256


@dataclass(frozen=True)
class Boot:
    """``master_pid`` is 0 and ``control_fd`` NO_FD in a process without a master.

    ``shell`` is code to run in place of serving, or empty for a shell; None serves.
    ``held`` has the descriptors of copied files (`geuwsgi.net.heldfiles`).
    ``configuration`` and ``listeners`` are the texts of ``Configuration.to_json`` and
    ``listeners.to_wire``, ``commons`` is what ``Commons.to_wire`` returns.
    """

    generation: int
    master_pid: int
    started_on: int
    scoreboard_fd: int
    control_fd: int
    configuration: str
    listeners: str
    request_log_fd: int = 2
    is_reload: bool = False
    title: str = ""
    commons: dict[str, Any] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    shell: str | None = None

    def write(self) -> int:
        """Put it into an anonymous file; the caller closes the descriptor."""
        text = json.dumps(dataclasses.asdict(self)).encode()
        fileno = _anonymous_file()
        try:
            with open(fileno, "wb", closefd=False) as file:
                file.write(text)
        except BaseException:
            os.close(fileno)
            raise
        return fileno

    @classmethod
    def read(cls, fileno: int) -> Boot:
        """Read it from ``fileno`` and close that."""
        with os.fdopen(fileno, "rb") as file:
            file.seek(0)
            return cls(**json.loads(file.read()))


def _anonymous_file() -> int:
    # In memory where it can be: a full disk must not keep a template from starting.
    if hasattr(os, "memfd_create"):
        return os.memfd_create("geuwsgi-boot", os.MFD_CLOEXEC)
    import tempfile  # systems without it are few

    with tempfile.TemporaryFile(prefix="geuwsgi-boot") as file:
        return os.dup(file.fileno())


def interpreter_arguments(
    fileno: int, *, is_template: bool, optimize: int = 0
) -> list[str]:
    """The command line of a process that boots from ``fileno``.

    ``optimize`` is Python's level: 1 leaves out assertions, 2 docstrings too.

    A template leaves Ctrl-C to its master from the first moment on.

    The working directory is kept from ``sys.path``: there the application's own
    ``queue.py`` would be taken for the library's. The loader adds it afterwards.
    """
    package_parent = os.path.dirname(
        os.path.dirname(os.path.realpath(geuwsgi.__file__))
    )
    code = (
        f"{_IGNORE_INTERRUPT if is_template else ''}import sys; "
        "sys.path[:] = [p for p in sys.path if p]; "
        f"p = {package_parent!r}; "
        "p in sys.path or sys.path.append(p); "
        "from geuwsgi.worker.start import main; "
        f"main({fileno})"
    )
    options = ["-" + "O" * min(optimize, 2)] if optimize else []
    return [sys.executable, *options, "-c", code, _TITLE_ROOM]

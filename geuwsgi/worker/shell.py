"""A Python shell with the application loaded (uWSGI: pyshell)."""

from __future__ import annotations

import code
import contextlib
from typing import Any

_ALONE = frozenset({"", "1", "true", "yes", "on"})


def run_shell(asked: str) -> None:
    """Run ``asked`` as code, or if it is only a yes, talk to the user.

    ``uwsgi`` and whatever the application imported can be imported there. Raises what
    the code raises.
    """
    namespace: dict[str, Any] = {"__name__": "__console__", "__doc__": None}
    if asked.strip().lower() not in _ALONE:
        exec(compile(asked, "<pyshell>", "exec"), namespace)
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 (it takes over the editing of lines)
    code.interact(local=namespace, exitmsg="")

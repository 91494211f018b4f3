"""How processes end, in the words of the log. A negative status is a signal."""

from __future__ import annotations


def how_it_ended(status: int | None) -> str:
    """What is said of a process whose end nobody asked for; None: who knows how."""
    if status is None:
        return "ended"
    if status < 0:
        return f"was killed by signal {-status}"
    return f"exited with status {status}"


def status_in_words(status: int | None) -> str:
    """What is added to the name of a process; nothing where all went well."""
    if status is not None and status < 0:
        return f", killed by signal {-status}"
    return f", exited with status {status}" if status else ""

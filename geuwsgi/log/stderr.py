"""The lines of the server itself, on standard error: that is the log."""

from __future__ import annotations

import contextlib
import sys


def log(line: str) -> None:
    """Write a line where the log goes, in one piece."""
    # A full disk must not end the site, nor an application that closed or replaced it.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

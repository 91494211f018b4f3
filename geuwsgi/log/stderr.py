"""The lines of the server itself, on standard error: that is the log."""

from __future__ import annotations

import contextlib
import sys


def log(line: str) -> None:
    """Write a line where the log goes, in one piece."""
    # A full disk must not end the site.
    with contextlib.suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

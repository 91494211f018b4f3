"""Whom caches tell what happens to them."""

from __future__ import annotations

import os
from collections.abc import Callable

Log = Callable[[str], None]


def log_to_stderr(line: str) -> None:
    """Write a line to descriptor 2, where uWSGI writes."""
    os.write(2, line.encode("utf-8", "backslashreplace") + b"\n")

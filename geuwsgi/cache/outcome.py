"""What becomes of a write to a cache's table."""

from __future__ import annotations

import enum


class Outcome(enum.Enum):
    """STORED, or why not."""

    STORED = "stored"
    EXISTS = "the key exists"
    MISSING = "there is no such key"
    FULL = "the cache is full"
    BAD_KEY = "the key is empty or too long"
    BAD_VALUE = "the value is empty or too long"

"""Options that are read and checked, but whose feature is not there yet.

One row an option: its name and what it waits for. A row goes when the feature comes.
The text completes the sentence "accepted, not in effect yet: …".
"""

from __future__ import annotations

PENDING: dict[str, str] = {}

"""What can be had for reading a cache's table here."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geuwsgi.cache._reader import Reader


def stores_are_ordered() -> bool:
    """Tell whether this processor shows stores to others in program order."""
    return platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


def compiled_reader() -> type[Reader] | None:
    """Return the compiled reader, None where geuwsgi was installed without."""
    try:
        from geuwsgi.cache._reader import Reader
    except ImportError:
        return None
    return Reader

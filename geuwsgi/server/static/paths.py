"""From the path of a request to a path of the file system. Pure.

The attack is the path that leaves the directory: ``..`` in clear, percent-encoded
(decoded by the time we look), after a prefix without a slash (``/static..``), a NUL
that ends the name early for the system but not for us. All of these are refused, not
repaired: such a path names no file. Symbolic links are not seen here; whoever opens
the file compares where it really is with ``is_below``.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable


def file_system_path(path_info: str) -> str:
    """Turn PATH_INFO (bytes in latin-1's clothes, PEP 3333) into a file name."""
    if path_info.isascii():
        return path_info
    return os.fsdecode(path_info.encode("latin-1"))


def joined(directory: str, rest: str) -> str | None:
    """Append the path of a request to ``directory``; None if it may not be.

    ``rest`` may be empty (the directory itself) or begin with any number of slashes.
    The result contains no ``..`` and no NUL of ``rest``'s making.
    """
    if "\0" in rest:
        return None
    if ".." in rest and ".." in rest.split("/"):
        return None
    rest = rest.lstrip("/")
    if not rest:
        return directory
    if directory.endswith("/"):
        return directory + rest
    return f"{directory}/{rest}"


def is_below(path: str, directory: str) -> bool:
    """Whether a real path is a real directory or lies in it.

    ``/srv/static-private`` is not below ``/srv/static``, although it begins with it.
    """
    return path == directory or path.startswith(
        directory if directory.endswith("/") else directory + "/"
    )


def is_below_any(path: str, directories: Iterable[str]) -> bool:
    """Whether a real path lies in one of the real directories."""
    return any(is_below(path, directory) for directory in directories)

"""Which ``Content-Type`` a file name has.

The table comes from files in the format of ``/etc/mime.types``; without any, from
the standard library's own list. A name whose extension nobody knows has no type,
and the response then has no ``Content-Type``: a wrong guess would be worse than
letting the client look.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Iterator, Mapping

SYSTEM_TABLE = "/etc/mime.types"

# Not in the standard library's list of every supported Python, and on every site.
_SINCE_THEN = {
    "avif": "image/avif",
    "js": "text/javascript",
    "mjs": "text/javascript",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
}


def parse_mime_types(text: str) -> Iterator[tuple[str, str]]:
    """Yield (extension without dot, media type) from the text of a mime.types file.

    Lines are ``type extension extension …``; ``#`` starts a comment. A line without
    extensions yields nothing.
    """
    for line in text.splitlines():
        media_type, *extensions = line.partition("#")[0].split() or [""]
        for extension in extensions:
            yield extension.lower(), media_type


def built_in_types() -> dict[str, str]:
    """The table used when the machine has none."""
    known = mimetypes.MimeTypes(()).types_map[1]
    types = {suffix[1:]: media_type for suffix, media_type in known.items()}
    types.update(_SINCE_THEN)
    return types


class MimeTable:
    """Media types by file name. Later entries of an extension win."""

    __slots__ = ("_types",)

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = dict(types)

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> MimeTable:
        """Build the table of several mime.types files; built-in if they hold none."""
        types: dict[str, str] = {}
        for text in texts:
            types.update(parse_mime_types(text))
        return cls(types or built_in_types())

    def type_of(self, name: str) -> str | None:
        """The media type of a file name or path, or None."""
        name = name[name.rfind("/") + 1 :]
        _, dot, extension = name.rpartition(".")
        return self._types.get(extension.lower()) if dot else None

"""Where configuration text comes from: files, and the schemes that stand for them.

path            a file                 fd://N          an open descriptor
-               standard input         exec://command  what a command prints
http://, https:// fetched              data://N        a blob behind the program
"""

from __future__ import annotations

from typing import NamedTuple

from geuwsgi.config.host import Host, SourceError

FORMATS = {
    "ini": "ini",
    "xml": "xml",
    "yaml": "yaml",
    "yml": "yaml",
    "json": "json",
    "js": "json",
    "toml": "toml",
}
_ELSEWHERE = {
    "data": "blobs appended to the program belong to uWSGI's binary",
    "sym": "symbols embedded in the program belong to uWSGI's binary",
    "section": "sections of the program belong to uWSGI's binary",
    "call": "C functions cannot be called",
    "callint": "C functions cannot be called",
}


class Source(NamedTuple):
    """A source's name, the section asked for, and the format its name tells."""

    name: str
    section: str
    format: str


def parse_source(text: str) -> Source:
    """``file.ini:section`` in its parts. ``:section`` has an empty name."""
    name, colon, section = text.rpartition(":")
    if not colon or section.startswith("//") or "/" in section:
        name, section = text, ""
    _, dot, extension = name.rpartition(".")
    return Source(name, section, FORMATS.get(extension.lower(), "") if dot else "")


def read_source(name: str, host: Host) -> bytes:
    """What is behind a name; raises SourceError if nothing can be read."""
    if name == "-":
        return host.read_stdin()
    scheme, separator, rest = name.partition("://")
    if not separator:
        return host.read_file(name)
    if scheme == "exec":
        return host.run(rest)
    if scheme in ("http", "https"):
        return host.fetch(name)
    if scheme == "fd":
        if not rest.isdigit():
            raise SourceError(f"{name!r} does not name a descriptor")
        return host.read_descriptor(int(rest))
    if scheme in ("emperor", "file"):
        return host.read_file(rest)
    if scheme in _ELSEWHERE:
        raise SourceError(f"cannot read {name!r}: {_ELSEWHERE[scheme]}")
    return host.read_file(name)


def is_local(name: str) -> bool:
    """Whether a source is a file of this machine, with a path and an inode."""
    return name != "-" and "://" not in name


def decode(content: bytes) -> str:
    """Text of a source; bytes that are not UTF-8 survive and come back."""
    return content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")

"""Magic variables: ``%`` and one character in the text of a configuration file.

They are replaced in the raw text before it is parsed. uWSGI replaces every such pair,
an unknown one with nothing. ``%(`` is kept for placeholders, ``%%`` is one percent.
Unlike uWSGI, a percent sign at the end of a line stays and does not glue the next
line to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from geuwsgi.config.host import Host

_PAIR = re.compile(r"%([^\r\n])")
_FILE_LETTERS = "opsdcenxij"


def djb33x(data: bytes) -> int:
    """Bernstein's hash with xor, over 32 bits."""
    value = 5381
    for byte in data:
        value = ((value * 33) & 0xFFFFFFFF) ^ byte
    return value


def path_hash(path: str) -> str:
    """The hash of a path in hexadecimal, its lowest byte first, as uWSGI shows it."""
    number = djb33x(path.encode("utf-8", "surrogateescape"))
    return number.to_bytes(4, "little").hex().upper()


class MagicTable(Mapping[str, str]):
    """The variables as they stand while files are read.

    ``enter(file)`` sets those of the file that is read now; the first file entered
    with ``is_first`` also sets the upper-case ones, for good.
    """

    def __init__(self, host: Host, version: str) -> None:
        self._host = host
        self._has_first = False
        self._values: dict[str, str | Callable[[], str]] = {
            "%": "%",
            "(": "%(",
            "[": "\x1b",
            "v": host.cwd,
            "V": version,
            "h": host.hostname,
            "k": str(host.cpu_count),
            "t": str(int(host.started)),
            "T": str(int(host.started * 1_000_000)),
            "u": str(host.uid),
            "U": lambda: host.user_name(host.uid),
            "g": str(host.gid),
            "G": lambda: host.group_name(host.gid),
            "b": host.binary_path,
        }

    def __getitem__(self, letter: str) -> str:
        value = self._values[letter]
        if not isinstance(value, str):
            value = self._values[letter] = value()
        return value

    def __iter__(self) -> object:  # type: ignore[override]
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def enter(self, name: str, *, path: str, section: str, is_first: bool) -> None:
        """Set the variables of a file: its name as given, and its absolute path.

        ``path`` is empty for what is no local file.
        """
        directory, _, base = path.rpartition("/")
        stem, dot, extension = base.rpartition(".")
        components = directory.split("/")[1:]
        host = self._host
        values: dict[str, str | Callable[[], str]] = {
            "o": name,
            "p": path,
            "s": base,
            "d": f"{directory}/" if path else "",
            "c": components[-1] if components else "",
            "e": extension if dot else "",
            "n": stem if dot else base,
            "x": section,
            "i": (lambda: str(host.inode(path))) if path else "",
            "j": path_hash(path) if path else "",
        }
        for index in range(10):
            found = components[index] if index < len(components) else ""
            values[str(index)] = found
        self._values.update(values)
        if is_first and not self._has_first:
            self._has_first = True
            for letter in _FILE_LETTERS:
                self._values[letter.upper()] = values[letter]

    def expand(self, text: str, lost: Callable[[str, int], None]) -> str:
        """``text`` with its magic variables replaced.

        ``lost(letter, line)`` is called for each pair that nothing is behind.
        """
        if "%" not in text:
            return text

        def value(match: re.Match[str]) -> str:
            try:
                return self[match[1]]
            except KeyError:
                if match[1] not in "OPSDCENXIJopsdcenxij0123456789":
                    lost(match[1], text.count("\n", 0, match.start()) + 1)
                return ""

        return _PAIR.sub(value, text)

    def snapshot(self) -> dict[str, str]:
        """All variables and their values, as ``uwsgi.magic_table`` shows them."""
        return {letter: self[letter] for letter in self._values}

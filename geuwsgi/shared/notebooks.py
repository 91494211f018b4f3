"""Small texts that processes of one kind leave for their successors and siblings.

A note is written and read whole. Writers do not wait for each other: the last one
wins, and a note that was cut short by a death reads as nothing.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from geuwsgi.shared.region import Region

#: Length and checksum of the text, then the text.
_HEAD = 12
_ROOM = 4 << 20


class Notebooks:
    """Notes by number, each in an anonymous file of its own."""

    def __init__(self, regions: list[Region]) -> None:
        self._regions = regions

    @classmethod
    def create(cls, names: list[str]) -> Notebooks:
        """Make an empty note for each of ``names``."""
        # Only pages that were written cost memory.
        return cls([Region.create(name, _ROOM) for name in names])

    @property
    def names(self) -> list[str]:
        return [region.name for region in self._regions]

    def number(self, name: str) -> int:
        """The number of a note. Raises ValueError."""
        return self.names.index(name)

    def write(self, number: int, text: bytes) -> bool:
        """Leave a note; False if it is too long, and the old one stays."""
        if len(text) > _ROOM - _HEAD:
            return False
        memory = self._regions[number].memory
        checksum = zlib.crc32(text)
        memory[_HEAD : _HEAD + len(text)] = text
        memory[:_HEAD] = len(text).to_bytes(8, "little") + checksum.to_bytes(
            4, "little"
        )
        return True

    def stamp(self, number: int) -> bytes:
        """Something that differs when the note does."""
        return self._regions[number].memory[:_HEAD]

    def read(self, number: int) -> bytes:
        """The note, empty if there is none or it is damaged."""
        memory = self._regions[number].memory
        length = int.from_bytes(memory[:8], "little")
        if length > _ROOM - _HEAD:
            return b""
        text = memory[_HEAD : _HEAD + length]
        checksum = int.from_bytes(memory[8:_HEAD], "little")
        return text if zlib.crc32(text) == checksum else b""

    def descriptors(self) -> list[int]:
        return [region.fd for region in self._regions]

    def to_wire(self) -> Any:
        return [region.to_wire() for region in self._regions]

    @classmethod
    def from_wire(cls, wire: Sequence[Mapping[str, Any]]) -> Notebooks:
        return cls([Region.from_wire(entry) for entry in wire])

    def close(self) -> None:
        for region in self._regions:
            with contextlib.suppress(OSError):
                region.close()


def copy_note(source: Notebooks, target: Notebooks, name: str) -> None:
    """Carry a note over, if both have one of that name."""
    if name in source.names and name in target.names:
        target.write(target.number(name), source.read(source.number(name)))

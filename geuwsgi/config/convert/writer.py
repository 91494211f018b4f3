"""An ini file in the making."""

from __future__ import annotations


class IniWriter:
    """Collects options and remarks, and writes them as one ini text."""

    def __init__(self, source: str) -> None:
        self._lines = [f"; from {source}", "[uwsgi]"]
        self._missing: list[str] = []
        self._remarks: list[str] = []

    def option(self, name: str, value: object) -> None:
        """Add an option. A percent sign is doubled: it is magic in an ini file."""
        text = "true" if value is True else str(value)
        text = text.replace("\n", " ").replace("%", "%%").replace("%%(", "%(")
        self._lines.append(f"{name} = {text}")

    def missing(self, name: str, why: str) -> None:
        """Name something that has no equivalent."""
        self._missing.append(f"; {name}: {why}".replace("\n", " "))

    def remark(self, sentence: str) -> None:
        """Say what is different about an option written."""
        self._remarks.append(f"; {sentence}")

    def text(self) -> str:
        lines = list(self._lines)
        if self._remarks:
            lines += ["", "; different:", *self._remarks]
        if self._missing:
            lines += ["", "; without equivalent:", *self._missing]
        return "\n".join(lines) + "\n"

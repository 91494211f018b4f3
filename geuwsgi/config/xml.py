"""The xml format: a ``<uwsgi>`` element, an element for each option.

A document type is refused: entities are how small files become big ones.
"""

from __future__ import annotations

from xml.parsers import expat

from geuwsgi.config.parsed import Line, Parsed


class _Refused(Exception):
    """Something that is XML, but not a configuration."""


class _Walk:
    """Collects the options below the first fitting ``<uwsgi>`` element."""

    def __init__(self, section: str) -> None:
        self.parsed = Parsed([], False, [], [], [])
        self.found = False
        self._section = section
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._path: list[str] = []
        self._depth = 0
        self._value = ""
        self._stray = ""
        self._line = 0
        self._mountpoint: str | None = None

    def parse(self, text: str) -> None:
        self._parser.Parse(text.encode("utf-8", "replace"), True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if self._depth:
            self._begin_option(name, attributes)
        elif name == "uwsgi" and len(self._path) <= 2:
            section = attributes.get("id", "uwsgi")
            self.parsed.sections.append(section)
            wanted = self._section in (section, "uwsgi")
            if wanted and not self.found:
                self.found = True
                self._depth = len(self._path)

    def _begin_option(self, name: str, attributes: dict[str, str]) -> None:
        if name == "app" and "mountpoint" in attributes:
            self._mountpoint = attributes["mountpoint"]
        elif len(self._path) > self._depth + (2 if self._mountpoint is not None else 1):
            raise _Refused(f"<{name}> inside an option")
        if "mode" in attributes:
            raise _Refused("the attribute 'mode' (if-opt does the same)")
        self._value = ""
        self._line = self._parser.CurrentLineNumber

    def _text(self, text: str) -> None:
        if self._depth and len(self._path) == self._depth:
            self._stray += text
        self._value += text

    def _lose(self, text: str) -> None:
        if text.strip():
            sentence = f"text outside of options is lost: {text.strip()[:40]!r}"
            self.parsed.remarks.append((self.line, sentence))

    def _end(self, name: str) -> None:
        depth = len(self._path)
        self._path.pop()
        if not self._depth:
            return
        if depth == self._depth:
            self._depth = 0
            self._lose(self._stray)
        elif name == "app" and self._mountpoint is not None:
            self._mountpoint = None
        elif self._mountpoint is not None:
            if name in ("module", "script", "file"):
                self._add("mount", f"{self._mountpoint}={self._value}")
        else:
            self._add(name, self._value or "1")
        self._value = ""

    def _add(self, name: str, value: str) -> None:
        self.parsed.lines.append(Line(name, value, self._line))

    def _doctype(self, *_: object) -> None:
        raise _Refused("a document type")

    @property
    def line(self) -> int:
        return self._parser.CurrentLineNumber


def parse_xml(text: str, section: str) -> Parsed:
    """The options of the ``<uwsgi>`` element whose ``id`` is ``section``.

    Without a section asked for, the first one counts, whatever its id.
    """
    walk = _Walk(section)
    try:
        walk.parse(text)
    except _Refused as exc:
        walk.parsed.errors.append((walk.line, f"{exc} is refused"))
    except (expat.ExpatError, ValueError) as exc:
        walk.parsed.errors.append((walk.line, f"malformed XML: {exc}"))
    return walk.parsed._replace(has_section=walk.found)

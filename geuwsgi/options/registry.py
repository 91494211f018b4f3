"""All names an option can be called by, and what is behind each.

The registry answers four questions: what is this name, what is this letter, what is
this unambiguous beginning of a name, and which name did the user probably mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from geuwsgi.options.declare import Option, Section
from geuwsgi.options.kinds import Takes


class Elsewhere(NamedTuple):
    """An option of uWSGI that means nothing here: why, and if it takes a value."""

    reason: str
    takes: Takes = Takes.VALUE
    aliases: tuple[str, ...] = ()
    short: str = ""


class Standing(Enum):
    """What using an option leads to."""

    WORKS = "works"
    PENDING = "not in effect yet"
    INERT = "without effect"
    FOREIGN = "not for geuwsgi"


class Known(NamedTuple):
    """What is behind one name. ``option`` is None for inert and foreign ones.

    The reason of one that works says what is always so, if it is.
    """

    name: str
    takes: Takes
    standing: Standing
    reason: str
    option: Option | None


class Registry:
    """Immutable after construction; building it takes well under a millisecond."""

    def __init__(
        self,
        sections: Iterable[type[Section]],
        *,
        directives: Iterable[type[Section]] = (),
        inert: Mapping[str, Elsewhere] = {},
        foreign: Mapping[str, Elsewhere] = {},
        pending: Mapping[str, str] = {},
        inherent: Mapping[str, str] = {},
    ) -> None:
        self.sections = tuple(sections)
        self.directives = tuple(directives)
        self._inert = inert
        self._foreign = foreign
        self._pending = pending
        self._inherent = inherent
        self._options: dict[str, Option] = {}
        self._letters: dict[str, str] = {}
        self._aliases: dict[str, str] = {}
        for section in (*self.sections, *self.directives):
            directive = section in self.directives
            for option in section.declared:
                option.directive = directive
                self._options[option.name] = option
                for alias in option.aliases:
                    self._options[alias] = option
                if option.short:
                    self._letters[option.short] = option.name
        for table in (inert, foreign):
            for name, entry in table.items():
                for alias in entry.aliases:
                    self._aliases[alias] = name
                if entry.short:
                    self._letters[entry.short] = name

    def options(self) -> list[Option]:
        """Every declared option once, in order of declaration."""
        return list(dict.fromkeys(self._options.values()))

    def names(self) -> list[str]:
        """Every long name, aliases included."""
        return [*self._options, *self._inert, *self._foreign, *self._aliases]

    def option(self, name: str) -> Option | None:
        """The declared option of that exact name or alias."""
        return self._options.get(name)

    def find(self, name: str) -> Known | None:
        """What stands behind an exact name or alias, or None."""
        option = self._options.get(name)
        if option is not None:
            standing = Standing.WORKS
            reason = self._inherent.get(option.name, "")
            if option.name in self._pending:
                standing = Standing.PENDING
                reason = self._pending[option.name]
            return Known(option.name, option.takes, standing, reason, option)
        canonical = self._aliases.get(name, name)
        for table, standing in (
            (self._inert, Standing.INERT),
            (self._foreign, Standing.FOREIGN),
        ):
            entry = table.get(canonical)
            if entry is not None:
                return Known(canonical, entry.takes, standing, entry.reason, None)
        return None

    def without_option(self, standing: Standing) -> list[str]:
        """The canonical names of inert or foreign options, sorted."""
        return sorted(self._inert if standing is Standing.INERT else self._foreign)

    def letter(self, letter: str) -> str | None:
        """The long name of a one-letter option."""
        return self._letters.get(letter)

    def letter_of(self, name: str) -> str:
        """The letter of a long name, or the empty text."""
        return next((key for key, value in self._letters.items() if value == name), "")

    def completions(self, prefix: str) -> list[str]:
        """The long names that begin with ``prefix``, sorted."""
        return sorted(name for name in self.names() if name.startswith(prefix))

    def nearest(self, name: str) -> str | None:
        """The known name that ``name`` looks like a slip of, if any."""
        import difflib

        folded = name.replace("_", "-").lower()
        if folded != name and self.find(folded) is not None:
            return folded
        found = difflib.get_close_matches(folded, self.names(), n=1, cutoff=0.75)
        return found[0] if found else None

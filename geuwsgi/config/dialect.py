"""uWSGI's configuration dialect: from sources to one ordered list of assignments.

A ``Reader`` is fed from the environment, the command line and files, in this order.
Directives (``ini``, ``include``, ``set``, ``if-…``, ``for``, …) act at the moment they
are read, with their raw text; all other options become pairs. ``finish`` substitutes
placeholders in the pairs and lets the late directives (``inherit``, templates made by
``declare-option2``) add theirs.

Everything wrong is collected in ``errors``, with its place; reading goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from geuwsgi.config.arguments import guess_argument
from geuwsgi.config.blocks import LOOPS, Block, Surroundings
from geuwsgi.config.directives import DIRECTIVES
from geuwsgi.config.getopt import ORIGIN as COMMAND_LINE
from geuwsgi.config.host import Host, SourceError
from geuwsgi.config.magic import MagicTable
from geuwsgi.config.model import Assignment, Note, Topic
from geuwsgi.config.pair import Pair
from geuwsgi.config.parsers import parse_document
from geuwsgi.config.placeholders import Endless, evaluate, substitute
from geuwsgi.config.sources import (
    Source,
    decode,
    is_local,
    parse_source,
    read_source,
)
from geuwsgi.errors import ConfigError
from geuwsgi.options import Registry

MAX_PAIRS = 100_000
MAX_DEPTH = 50
_ENDS = frozenset({"end", "endif", "end-if", "endfor", "end-for"})
_NOT_OPTIONS = frozenset(
    {
        "UWSGI_RELOADS",
        "UWSGI_VASSALS_DIR",
        "UWSGI_EMPEROR_FD",
        "UWSGI_BROODLORD_NUM",
        "UWSGI_EMPEROR_FD_CONFIG",
        "UWSGI_EMPEROR_PROXY",
        "UWSGI_JAIL_PID",
        "UWSGI_ORIGINAL_PROC_NAME",
    }
)


class Reader:
    """Reads one configuration. Used once, by one caller."""

    def __init__(self, registry: Registry, host: Host, magic: MagicTable) -> None:
        self.registry = registry
        self.host = host
        self.magic = magic
        # What is found.
        self.pairs: list[Pair] = []
        self.errors: list[ConfigError] = []
        self.notes: list[Note] = []
        self.variables: set[str] = set()
        """Names that are variables of the user's: declared so, or referred to."""
        self.exit_status: int | None = None
        # What directives open, forbid and prepare for what follows.
        self.environ = dict(host.environ)
        self.block: Block | None = None
        self.forbidden: frozenset[str] | None = None
        self.allowed: frozenset[str] | None = None
        self.templates: dict[str, str] = {}
        self.late_templates: dict[str, str] = {}
        self.before: list[str] = []
        self.after: list[str] = []
        # Where the reader stands.
        self._first: dict[str, Pair] = {}
        self._in_block = False
        self._last_file = ""
        self._open_files: list[str] = []
        self._ancestry: frozenset[str] = frozenset()

    # -- feeding -----------------------------------------------------------------

    def read_environment(self) -> None:
        """Take each ``UWSGI_SOME_NAME`` variable as the option ``some-name``."""
        for variable, value in self.host.environ.items():
            if variable.startswith("UWSGI_") and variable not in _NOT_OPTIONS:
                name = variable[6:].lower().replace("_", "-")
                self.add(name, value, f"environment {variable}")

    def read_options(self, options: Sequence[tuple[str, str | None]]) -> None:
        """Take the options of the command line, in order."""
        for name, value in options:
            self.add(name, value, COMMAND_LINE)

    def read_arguments(self, arguments: Sequence[str]) -> None:
        """Take the bare words: configuration files, modules and addresses."""
        for word in arguments:
            if word.startswith("["):
                continue
            if parse_source(word).format or word.startswith(":"):
                source = parse_source(word)
                if source.format or (self._last_file and not word[1:].isdigit()):
                    self.load(word, "", COMMAND_LINE, is_first=False)
                    continue
            guess = guess_argument(word)
            if guess is None:
                self.error(f"cannot tell what {word!r} is", COMMAND_LINE)
            else:
                self.add(guess, word, COMMAND_LINE)

    # -- adding ------------------------------------------------------------------

    def add(self, name: str, value: str | None, origin: str) -> None:
        """Take one option: into the open block's hands, or as a pair."""
        if self.forbidden is not None and name in self.forbidden:
            self.error(f"option {name!r} is forbidden by a blacklist", origin)
            return
        allowed = self.allowed
        if allowed is not None and name not in allowed and name != "end-whitelist":
            self.error(f"option {name!r} is not on the whitelist", origin)
            return
        if not self._in_block:
            if name in _ENDS:
                self.block = None
            elif self.block is not None:
                self._add_in_block(self.block, name, value, origin)
                return
        self.store(name, value, origin)

    def _add_in_block(
        self, block: Block, name: str, value: str | None, origin: str
    ) -> None:
        if name == "else" and block.name not in LOOPS:
            self.block = block._replace(inverted=not block.inverted)
            self.append(Pair(name, value, origin, is_raw=True))
            return
        try:
            items = block.items(
                Surroundings(self.host, self.environ, self._value_so_far)
            )
        except (SourceError, ValueError) as exc:
            self.error(str(exc), block.origin)
            self.block = None
            return
        self._in_block = True
        for item in items:
            filled = value
            if value is not None and item is not None:
                filled = value.replace("%(_)", item)
            self.store(name, filled, origin)
        self._in_block = False

    def store(self, name: str, value: str | None, origin: str) -> None:
        if len(self.pairs) >= MAX_PAIRS:
            if len(self.pairs) == MAX_PAIRS:
                self.append(Pair(name, value, origin, is_raw=True))
                self.error("the configuration never ends", origin)
            return
        option = self.registry.option(name)
        act = None if option is None else DIRECTIVES.get(option.name)
        is_raw = act is not None and option is not None and option.directive
        pair = Pair(name, value, origin, is_raw=is_raw, ancestry=self._ancestry)
        self.append(pair)
        if act is not None:
            act(self, pair)
        elif name in self.templates:
            pair.is_raw = True
            self._descend(pair, f"option {name}", self._instantiate)

    def append(self, pair: Pair) -> None:
        self.pairs.append(pair)
        self._first.setdefault(pair.name, pair)

    def _value_so_far(self, name: str) -> str | None:
        pair = self._first.get(name)
        return None if pair is None else pair.value or ""

    def error(self, message: str, origin: str) -> None:
        self.errors.append(ConfigError(message, origin))

    # -- files -------------------------------------------------------------------

    def load(self, text: str, format: str, origin: str, *, is_first: bool) -> None:
        """Read a source and take its options here.

        ``format`` empty goes by the name's ending. ``is_first``: the file may set
        the upper-case magic variables, if no other has.
        """
        source = parse_source(text)
        kind = format or source.format
        name = source.name or self._last_file
        if not name:
            self.error(f"{text!r} names a section, but no file was read yet", origin)
        elif not kind and source.name:
            self.error(f"cannot tell the format of {text!r} from its name", origin)
        else:
            kind = kind or parse_source(name).format or "ini"
            try:
                self._read(source._replace(name=name, format=kind), origin, is_first)
            except SourceError as exc:
                self.error(str(exc), origin)

    def _read(self, source: Source, origin: str, is_first: bool) -> None:
        name = source.name
        path = self.host.real_path(name) if is_local(name) else ""
        key = f"{path or name}:{source.section}"
        if key in self._open_files:
            self.error(f"{name!r} is included by itself", origin)
            return
        self._open_files.append(key)
        try:
            self._read_text(source, path, origin, is_first)
        finally:
            self._open_files.pop()

    def _read_text(
        self, source: Source, path: str, origin: str, is_first: bool
    ) -> None:
        name = source.name
        shown = f"{name}:{source.section}" if source.section else name
        self.magic.enter(shown, path=path, section=source.section, is_first=is_first)
        self._last_file = name
        text = decode(read_source(path or name, self.host))
        text = "".join([*self.before, text, *self.after])

        def lost(letter: str, line: int) -> None:
            message = f"'%{letter}' is no magic variable and becomes nothing"
            self._remark(f"{message}; write '%%' for a percent sign", name, line)

        section = source.section or "uwsgi"
        document = parse_document(self.magic.expand(text, lost), source.format, section)
        for line, sentence in document.remarks:
            self._remark(sentence, name, line)
        for line, sentence in document.errors:
            self.error(sentence, f"{name}:{line}")
        if not document.has_section and not document.errors:
            others = ", ".join(dict.fromkeys(document.sections))
            hint = f"; it has {others}" if others else ""
            message = f"there is no section {section!r} in {name!r}{hint}"
            self.notes.append(Note(Topic.SOURCE, message, origin))
        for option in document.lines:
            self.add(option.name, option.value, f"{name}:{option.number}")

    def _remark(self, sentence: str, name: str, line: int) -> None:
        self.notes.append(Note(Topic.SOURCE, sentence, f"{name}:{line}"))

    # -- finishing ---------------------------------------------------------------

    def finish(self) -> list[Assignment]:
        """All options in order, with their values substituted."""
        if self.block is not None:
            message = f"{self.block.name!r} has no end"
            self.notes.append(Note(Topic.SOURCE, message, self.block.origin))
        done = 0
        while done < len(self.pairs):
            done = len(self.pairs)
            self._substitute("$", self.environ.get)
            self._substitute("@", self._content)
            self._substitute("%", self._placeholder)
            for pair in self.pairs[:done]:
                self._late(pair)
        return [Assignment(pair.name, pair.value, pair.origin) for pair in self.pairs]

    def _substitute(self, symbol: str, lookup: Callable[[str], str | None]) -> None:
        opening = f"{symbol}("
        for pair in self.pairs:
            if pair.value is None or pair.is_raw or opening not in pair.value:
                continue
            try:
                pair.value = substitute(pair.value, symbol, lookup)
            except (Endless, SourceError) as exc:
                self.error(f"{pair.name}: {exc}", pair.origin)
                pair.is_raw = True

    def _content(self, name: str) -> str:
        return decode(read_source(name, self.host)).removesuffix("\n")

    def _placeholder(self, expression: str) -> str | None:
        return evaluate(expression, self._named)

    def _named(self, name: str) -> str | None:
        value = self._value_so_far(name)
        if value is not None:
            self.variables.add(name)
        return value

    def _late(self, pair: Pair) -> None:
        """Let an ``inherit`` or an option made of others add its pairs."""
        if pair.is_raw:
            return
        template = self.late_templates.get(pair.name)
        if pair.name == "inherit":
            pair.is_raw = True
            self._descend(pair, f"file {pair.value}", self._inherit)
        elif template is not None:
            pair.is_raw = True
            self._descend(pair, f"option {pair.name}", self._instantiate)

    def _descend(self, pair: Pair, what: str, act: Callable[[Pair], None]) -> None:
        if what in pair.ancestry or len(pair.ancestry) >= MAX_DEPTH:
            self.error(f"{what} leads to itself", pair.origin)
            return
        before = self._ancestry
        self._ancestry = pair.ancestry | {what}
        act(pair)
        self._ancestry = before

    def _inherit(self, pair: Pair) -> None:
        self.load(pair.value or "", "", pair.origin, is_first=False)

    def _instantiate(self, pair: Pair) -> None:
        template = self.late_templates.get(pair.name) or self.templates[pair.name]
        arguments = (pair.value or "").split(" ")
        for index in range(len(arguments), 0, -1):
            template = template.replace(f"${index}", arguments[index - 1])
        for part in template.split(";"):
            name, equals, value = part.partition("=")
            if name:
                self.store(name, value if equals else None, pair.origin)

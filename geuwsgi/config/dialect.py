"""uWSGI's configuration dialect: from sources to one ordered list of assignments.

A ``Reader`` is fed from the environment, the command line and files, in this order.
Directives (``ini``, ``include``, ``set``, ``if-…``, ``for``, …) act at the moment they
are read, with their raw text; all other options become pairs. ``finish`` substitutes
placeholders in the pairs and lets the late directives (``inherit``, templates made by
``declare-option2``) add theirs.

Everything wrong is collected in ``errors``, with its place; reading goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from geuwsgi.config.blocks import LOOPS, Block, Surroundings
from geuwsgi.config.getopt import ORIGIN as COMMAND_LINE
from geuwsgi.config.host import Host, SourceError
from geuwsgi.config.magic import MagicTable
from geuwsgi.config.model import Assignment, Note, Topic
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


class Pair:
    """One option on its way. ``is_raw`` values take no part in substitution."""

    __slots__ = ("is_raw", "name", "origin", "value")

    def __init__(
        self, name: str, value: str | None, origin: str, *, is_raw: bool = False
    ) -> None:
        self.name = name
        self.value = value
        self.origin = origin
        self.is_raw = is_raw


class Reader:
    """Reads one configuration. Used once, by one caller."""

    def __init__(self, registry: Registry, host: Host, magic: MagicTable) -> None:
        self.registry = registry
        self.host = host
        self.magic = magic
        self.pairs: list[Pair] = []
        self.errors: list[ConfigError] = []
        self.notes: list[Note] = []
        self.variables: set[str] = set()
        """Names that are variables of the user's: declared so, or referred to."""
        self.exit_status: int | None = None
        self._environ = dict(host.environ)
        self._block: Block | None = None
        self._in_block = False
        self._depth = 0
        self._last_file = ""
        self._open_files: list[tuple[str, str]] = []
        self._templates: dict[str, str] = {}
        self._late_templates: dict[str, str] = {}
        self._forbidden: frozenset[str] | None = None
        self._allowed: frozenset[str] | None = None
        self._before: list[str] = []
        self._after: list[str] = []

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
        if self._forbidden is not None and name in self._forbidden:
            self.error(f"option {name!r} is forbidden by a blacklist", origin)
            return
        allowed = self._allowed
        if allowed is not None and name not in allowed and name != "end-whitelist":
            self.error(f"option {name!r} is not on the whitelist", origin)
            return
        if not self._in_block:
            if name in _ENDS:
                self._block = None
            elif self._block is not None:
                self._add_in_block(self._block, name, value, origin)
                return
        self._store(name, value, origin)

    def _add_in_block(
        self, block: Block, name: str, value: str | None, origin: str
    ) -> None:
        if name == "else" and block.name not in LOOPS:
            self._block = block._replace(inverted=not block.inverted)
            self.pairs.append(Pair(name, value, origin, is_raw=True))
            return
        try:
            items = block.items(Surroundings(self.host, self._value_so_far))
        except (SourceError, ValueError) as exc:
            self.error(str(exc), block.origin)
            self._block = None
            return
        self._in_block = True
        for item in items:
            filled = value
            if value is not None and item is not None:
                filled = value.replace("%(_)", item)
            self._store(name, filled, origin)
        self._in_block = False

    def _store(self, name: str, value: str | None, origin: str) -> None:
        if len(self.pairs) >= MAX_PAIRS:
            if len(self.pairs) == MAX_PAIRS:
                self.pairs.append(Pair(name, value, origin, is_raw=True))
                self.error("the configuration never ends", origin)
            return
        option = self.registry.option(name)
        act = None if option is None else _DIRECTIVES.get(option.name)
        is_raw = act is not None and option is not None and option.directive
        pair = Pair(name, value, origin, is_raw=is_raw)
        self.pairs.append(pair)
        if act is not None:
            act(self, pair)
        elif name in self._templates:
            pair.is_raw = True
            self._instantiate(self._templates[name], pair)

    def _value_so_far(self, name: str) -> str | None:
        for pair in self.pairs:
            if pair.name == name:
                return pair.value or ""
        return None

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
        elif (name, source.section) in self._open_files:
            self.error(f"{text!r} is included by itself", origin)
        else:
            self._open_files.append((name, source.section))
            try:
                kind = kind or parse_source(name).format or "ini"
                self._read(source._replace(name=name, format=kind), origin, is_first)
            except SourceError as exc:
                self.error(str(exc), origin)
            finally:
                self._open_files.pop()

    def _read(self, source: Source, origin: str, is_first: bool) -> None:
        name = source.name
        local = is_local(name)
        path = self.host.real_path(name) if local else ""
        shown = f"{name}:{source.section}" if source.section else name
        self.magic.enter(shown, path=path, section=source.section, is_first=is_first)
        self._last_file = name
        text = decode(read_source(path or name, self.host))
        text = "".join([*self._before, text, *self._after])

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
        if self._block is not None:
            message = f"{self._block.name!r} has no end"
            self.notes.append(Note(Topic.SOURCE, message, self._block.origin))
        done = 0
        while done < len(self.pairs):
            done = len(self.pairs)
            self._substitute("$", self._environ.get)
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
        if pair.is_raw:
            return
        if pair.name == "inherit":
            pair.is_raw = True
            self.load(pair.value or "", "", pair.origin, is_first=False)
        elif pair.name in self._late_templates:
            pair.is_raw = True
            self._instantiate(self._late_templates[pair.name], pair)

    def _instantiate(self, template: str, pair: Pair) -> None:
        if self._depth >= MAX_DEPTH:
            self.error(f"option {pair.name!r} is made of itself", pair.origin)
            return
        self._depth += 1
        arguments = (pair.value or "").split(" ")
        for index in range(len(arguments), 0, -1):
            template = template.replace(f"${index}", arguments[index - 1])
        for part in template.split(";"):
            name, equals, value = part.partition("=")
            if name:
                self._store(name, value if equals else None, pair.origin)
        self._depth -= 1

    # -- directives --------------------------------------------------------------

    def _include(self, pair: Pair) -> None:
        self.load(pair.value or "", "", pair.origin, is_first=False)

    def _open_block(self, pair: Pair) -> None:
        if self._block is not None:
            message = f"{pair.name!r} inside {self._block.name!r}: blocks do not nest"
            self.error(message, pair.origin)
            return
        option = self.registry.option(pair.name)
        name = option.name if option else pair.name
        self._block = Block(name, pair.value or "", pair.origin)

    def _set(self, pair: Pair) -> None:
        name, equals, value = (pair.value or "").partition("=")
        if not equals:
            self.error(f"{pair.name}: {pair.value!r} is not name=value", pair.origin)
            return
        # A variable set on the command line is no slip of the pen.
        self._store(name, value, f"{pair.origin}, {pair.name}")

    def _set_placeholder(self, pair: Pair) -> None:
        name, equals, value = (pair.value or "").partition("=")
        if not equals:
            self.error(f"{pair.name}: {pair.value!r} is not name=value", pair.origin)
        elif self.registry.find(name) is not None:
            message = f"{name!r} is an option and cannot be a placeholder"
            self.error(message, pair.origin)
        else:
            self.variables.add(name)
            self.pairs.append(Pair(name, value, pair.origin))

    def _resolve(self, pair: Pair) -> None:
        name, equals, host_name = (pair.value or "").partition("=")
        if not equals:
            self.error(f"{pair.name}: {pair.value!r} is not name=host", pair.origin)
            return
        try:
            address = self.host.resolve(host_name)
        except SourceError as exc:
            self.error(str(exc), pair.origin)
            return
        self.variables.add(name)
        self.pairs.append(Pair(name, address, pair.origin, is_raw=True))

    def _declare(self, pair: Pair) -> None:
        name, equals, template = (pair.value or "").partition("=")
        if not equals:
            self.error(f"{pair.name}: {pair.value!r} is not name=template", pair.origin)
        elif self.registry.find(name) is not None:
            self.error(f"{name!r} is an option already", pair.origin)
        else:
            self.variables.add(name)
            late = pair.name == "declare-option2"
            (self._late_templates if late else self._templates)[name] = template

    def _inject(self, pair: Pair) -> None:
        texts = self._before if pair.name == "inject-before" else self._after
        try:
            texts.append(decode(read_source(pair.value or "", self.host)))
        except SourceError as exc:
            self.error(str(exc), pair.origin)

    def _restrict(self, pair: Pair) -> None:
        names = frozenset((pair.value or "").split()) | {f"end-{pair.name}"}
        if pair.name == "blacklist":
            self._forbidden = names - {"end-blacklist"}
        else:
            self._allowed = names

    def _unrestrict(self, pair: Pair) -> None:
        if pair.name == "end-blacklist":
            self._forbidden = None
        else:
            self._allowed = None

    def _print(self, pair: Pair) -> None:
        self.notes.append(Note(Topic.PRINT, pair.value or ""))

    def _set_environment(self, pair: Pair) -> None:
        name, _, value = (pair.value or "").partition("=")
        self._environ[name] = value

    def _exit(self, pair: Pair) -> None:
        if self.exit_status is None:
            text = (pair.value or "").strip()
            self.exit_status = int(text) if text.isdecimal() else 0


def guess_argument(word: str) -> str | None:
    """The option that a bare word of the command line stands for, or None."""
    if word.endswith((".py", ".wsgi")):
        return "wsgi-file"
    head, colon, tail = word.rpartition(":")
    if colon and tail.isdecimal():
        return "http"
    if word.isdecimal():
        return "http"
    if word.endswith((".sock", ".socket")):
        return "http-socket"
    module = (head or word).split(".")
    if all(part.isidentifier() for part in module) and (not colon or tail):
        return "module" if colon else None
    return None


def _loader(format: str) -> Callable[[Reader, Pair], None]:
    def load(reader: Reader, pair: Pair) -> None:
        reader.load(pair.value or "", format, pair.origin, is_first=True)

    return load


_DIRECTIVES: Mapping[str, Callable[[Reader, Pair], None]] = {
    "ini": _loader("ini"),
    "xml": _loader("xml"),
    "yaml": _loader("yaml"),
    "json": _loader("json"),
    "toml": _loader("toml"),
    "ini-paste": _loader("ini"),
    "ini-paste-logged": _loader("ini"),
    "ienv": Reader._set_environment,
    "config": _loader(""),
    "include": Reader._include,
    "set": Reader._set,
    "set-placeholder": Reader._set_placeholder,
    "resolve": Reader._resolve,
    "declare-option": Reader._declare,
    "declare-option2": Reader._declare,
    "inject-before": Reader._inject,
    "inject-after": Reader._inject,
    "blacklist": Reader._restrict,
    "whitelist": Reader._restrict,
    "end-blacklist": Reader._unrestrict,
    "end-whitelist": Reader._unrestrict,
    "iprint": Reader._print,
    "exit": Reader._exit,
    "for": Reader._open_block,
    "for-glob": Reader._open_block,
    "for-times": Reader._open_block,
    "for-readline": Reader._open_block,
    **{
        f"if-{negation}{test}": Reader._open_block
        for negation in ("", "not-")
        for test in (
            "env",
            "opt",
            "exists",
            "file",
            "dir",
            "plugin",
            "reload",
            "hostname",
            "hostname-match",
        )
    },
}

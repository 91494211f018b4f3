"""The options that act while a configuration is read: one function each.

A directive gets the reader and its own pair, with the value as it was written. It may
add pairs, open or end what the reader heeds, or report an error; it never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from geuwsgi.config.blocks import Block
from geuwsgi.config.host import SourceError
from geuwsgi.config.model import Note, Topic
from geuwsgi.config.pair import Pair
from geuwsgi.config.sources import decode, read_source

if TYPE_CHECKING:
    from geuwsgi.config.dialect import Reader


def _include(reader: Reader, pair: Pair) -> None:
    reader.load(pair.value or "", "", pair.origin, is_first=False)


def _open_block(reader: Reader, pair: Pair) -> None:
    if reader.block is not None:
        message = f"{pair.name!r} inside {reader.block.name!r}: blocks do not nest"
        reader.error(message, pair.origin)
        return
    option = reader.registry.option(pair.name)
    name = option.name if option else pair.name
    reader.block = Block(name, pair.value or "", pair.origin)


def _set(reader: Reader, pair: Pair) -> None:
    name, equals, value = (pair.value or "").partition("=")
    if not equals:
        reader.error(f"{pair.name}: {pair.value!r} is not name=value", pair.origin)
        return
    # A variable set on the command line is no slip of the pen.
    reader.store(name, value, f"{pair.origin}, {pair.name}")


def _set_placeholder(reader: Reader, pair: Pair) -> None:
    name, equals, value = (pair.value or "").partition("=")
    if not equals:
        reader.error(f"{pair.name}: {pair.value!r} is not name=value", pair.origin)
    elif reader.registry.find(name) is not None:
        message = f"{name!r} is an option and cannot be a placeholder"
        reader.error(message, pair.origin)
    else:
        reader.variables.add(name)
        reader.append(Pair(name, value, pair.origin))


def _resolve(reader: Reader, pair: Pair) -> None:
    name, equals, host_name = (pair.value or "").partition("=")
    if not equals:
        reader.error(f"{pair.name}: {pair.value!r} is not name=host", pair.origin)
        return
    try:
        address = reader.host.resolve(host_name)
    except SourceError as exc:
        reader.error(str(exc), pair.origin)
        return
    reader.variables.add(name)
    reader.append(Pair(name, address, pair.origin, is_raw=True))


def _declare(reader: Reader, pair: Pair) -> None:
    name, equals, template = (pair.value or "").partition("=")
    if not equals:
        reader.error(f"{pair.name}: {pair.value!r} is not name=template", pair.origin)
    elif reader.registry.find(name) is not None:
        reader.error(f"{name!r} is an option already", pair.origin)
    else:
        reader.variables.add(name)
        late = pair.name == "declare-option2"
        (reader.late_templates if late else reader.templates)[name] = template


def _inject(reader: Reader, pair: Pair) -> None:
    texts = reader.before if pair.name == "inject-before" else reader.after
    try:
        texts.append(decode(read_source(pair.value or "", reader.host)))
    except SourceError as exc:
        reader.error(str(exc), pair.origin)


def _restrict(reader: Reader, pair: Pair) -> None:
    names = frozenset((pair.value or "").split()) | {f"end-{pair.name}"}
    if pair.name == "blacklist":
        reader.forbidden = names - {"end-blacklist"}
    else:
        reader.allowed = names


def _unrestrict(reader: Reader, pair: Pair) -> None:
    if pair.name == "end-blacklist":
        reader.forbidden = None
    else:
        reader.allowed = None


def _print(reader: Reader, pair: Pair) -> None:
    reader.notes.append(Note(Topic.PRINT, pair.value or ""))


def _set_environment(reader: Reader, pair: Pair) -> None:
    name, _, value = (pair.value or "").partition("=")
    reader.environ[name] = value


def _exit(reader: Reader, pair: Pair) -> None:
    if reader.exit_status is None:
        text = (pair.value or "").strip()
        reader.exit_status = int(text) if text.isdecimal() else 0


def _loader(format: str) -> Callable[[Reader, Pair], None]:
    def load(reader: Reader, pair: Pair) -> None:
        reader.load(pair.value or "", format, pair.origin, is_first=True)

    return load


DIRECTIVES: Mapping[str, Callable[[Reader, Pair], None]] = {
    "ini": _loader("ini"),
    "xml": _loader("xml"),
    "yaml": _loader("yaml"),
    "json": _loader("json"),
    "toml": _loader("toml"),
    "ini-paste": _loader("ini"),
    "ini-paste-logged": _loader("ini"),
    "ienv": _set_environment,
    "config": _loader(""),
    "include": _include,
    "set": _set,
    "set-placeholder": _set_placeholder,
    "resolve": _resolve,
    "declare-option": _declare,
    "declare-option2": _declare,
    "inject-before": _inject,
    "inject-after": _inject,
    "blacklist": _restrict,
    "whitelist": _restrict,
    "end-blacklist": _unrestrict,
    "end-whitelist": _unrestrict,
    "iprint": _print,
    "exit": _exit,
    "for": _open_block,
    "for-glob": _open_block,
    "for-times": _open_block,
    "for-readline": _open_block,
    **{
        f"if-{negation}{test}": _open_block
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

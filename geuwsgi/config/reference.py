"""What the declarations tell a reader: help, manual, completion and JSON Schema.

The help is laid out by configargparse, which also names each option's environment
variable. Its parser is built only here: declaring every name costs 30 ms, and a start
that asks for no help should not pay them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from geuwsgi.options import REGISTRY, Known, Option, Registry, Section, Standing
from geuwsgi.options.kinds import Takes

_METAVAR = {
    "int": "N",
    "seconds": "SECONDS",
    "bytes": "BYTES",
    "KiB": "KB",
    "MiB": "MB",
    "mode": "MODE",
    "text": "TEXT",
    "list": "TEXT",
    "flag": "",
}


def variable_of(name: str) -> str:
    """The environment variable that sets an option; empty if none can."""
    return "" if "_" in name else f"UWSGI_{name.upper().replace('-', '_')}"


def format_help(registry: Registry = REGISTRY, section: str = "") -> str:
    """The help of all sections, or of the one of that name.

    Raises KeyError if there is no such section.
    """
    import configargparse  # type: ignore[import-untyped]

    parser = configargparse.ArgumentParser(
        prog="geuwsgi",
        usage="geuwsgi [OPTIONS] [FILE | MODULE:CALLABLE | SCRIPT.py | ADDRESS] …",
        add_help=False,
        allow_abbrev=False,
        add_env_var_help=True,
        ignore_unknown_config_file_keys=True,
        epilog="Each option may stand in a configuration file under its name without"
        " the dashes. 'geuwsgi --help=SECTION' prints one section,"
        " 'geuwsgi --help-option NAME' all about one option.",
    )
    sections = _sections(registry)
    if section:
        sections = {section: sections[section]}
    for name, described in sections.items():
        group = parser.add_argument_group(f"{described.title} ({name})")
        for option in described.declared:
            _declare(group, option)
    text: str = parser.format_help()
    return text


def _declare(group: object, option: Option) -> None:
    flags = [f"--{name}" for name in option.names]
    if option.short:
        flags.insert(0, f"-{option.short}")
    text = option.help.replace("%", "%%")
    if (default := _default_text(option)) != "":
        text += f" (default {default})".replace("%", "%%")
    arguments: dict[str, object] = {
        "dest": option.field,
        "help": text,
        "env_var": variable_of(option.name) or None,
    }
    if option.takes is Takes.NOTHING:
        arguments["action"] = "store_true"
    else:
        arguments["metavar"] = _metavar(option)
        if option.takes is Takes.MAYBE:
            arguments["nargs"] = "?"
    add = group.add_argument  # type: ignore[attr-defined]
    add(*flags, **arguments)


def _sections(registry: Registry) -> dict[str, type[Section]]:
    every = (*registry.sections, *registry.directives)
    return {section.__name__.lower(): section for section in every}


def _metavar(option: Option) -> str:
    if option.choices:
        return "|".join(option.choices)
    return _METAVAR[option.kind.name]


def _default_text(option: Option) -> str:
    default = option.default
    if default is None or default == () or default is False or default == 0:
        return ""
    if default is True:
        return "on"
    if isinstance(default, float):
        return f"{default:g}"
    if option.kind.name == "KiB" and isinstance(default, int):
        return str(default // 1024)
    return str(default)


def describe(name: str, registry: Registry = REGISTRY) -> str | None:
    """All about one option, or None if nobody knows the name."""
    known = registry.find(name)
    if known is None:
        return None
    lines = [f"--{known.name}"]
    option = known.option
    if option is None:
        lines.append(f"  {_standing(known)}")
        return "\n".join(lines) + "\n"
    lines[0] = _signature(option)
    lines.append(f"  {option.help}")
    facts = {
        "value": _value_text(option),
        "default": _default_text(option),
        "other names": ", ".join(option.aliases),
        "environment": variable_of(option.name),
        "section": option.section,
        "turns on": ", ".join(option.implies),
        "since": _since(option),
        "differs from uWSGI": option.differs,
        "state": _standing(known),
    }
    width = max(len(key) for key in facts)
    lines += [f"  {key:{width}}  {text}" for key, text in facts.items() if text]
    return "\n".join(lines) + "\n"


def _standing(known: Known) -> str:
    if known.standing is Standing.FOREIGN:
        return f"belongs to {known.reason}; refused unless 'ignore-foreign' is set"
    if known.standing is Standing.WORKS:
        return f"always so: {known.reason}" if known.reason else ""
    return f"{known.standing.value}: {known.reason}"


def _since(option: Option) -> str:
    return {"": "", "2.1": "uWSGI 2.1", "geuwsgi": "geuwsgi, not in uWSGI"}[
        option.since
    ]


def _signature(option: Option) -> str:
    letter = f"-{option.short}, " if option.short else ""
    metavar = _metavar(option)
    if option.takes is Takes.NOTHING:
        return f"{letter}--{option.name}"
    if option.takes is Takes.MAYBE:
        return f"{letter}--{option.name}[={metavar}]"
    return f"{letter}--{option.name} {metavar}"


def _value_text(option: Option) -> str:
    name = option.kind.name
    if option.choices:
        return "one of " + ", ".join(option.choices)
    words = {
        "flag": "true or false",
        "int": "a number",
        "seconds": "seconds",
        "bytes": "bytes; k, m and g are understood",
        "KiB": "kilobytes; with k, m or g what these say",
        "MiB": "megabytes; with k, m or g what these say",
        "mode": "octal digits, as in 660",
        "text": "a text",
        "list": "a text; may be repeated",
    }[name]
    bounds = option.bounds
    if bounds.when_true is not None:
        words += f"; {bounds.when_true:g} if none is given"
    return words


def format_completion(shell: str, registry: Registry = REGISTRY) -> str:
    """The completion script for bash, zsh or fish; KeyError for any other."""
    if shell == "fish":
        return "".join(_fish_line(option) for option in registry.options())
    words = " ".join(f"--{name}" for name in sorted(registry.names()))
    return {"bash": _BASH, "zsh": _ZSH}[shell].replace("@WORDS@", words)


_BASH = """\
_geuwsgi() {
    local word=${COMP_WORDS[COMP_CWORD]}
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "@WORDS@" -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -o filenames -F _geuwsgi geuwsgi
"""
_ZSH = """\
#compdef geuwsgi
_geuwsgi() {
    if [[ $words[CURRENT] == -* ]]; then
        compadd -- @WORDS@
    else
        _files
    fi
}
compdef _geuwsgi geuwsgi
"""


def _fish_line(option: Option) -> str:
    text = option.help.replace("\\", "\\\\").replace("'", "\\'")
    letter = f" -s {option.short}" if option.short else ""
    needs = " -r" if option.takes is Takes.VALUE else ""
    return f"complete -c geuwsgi{letter} -l {option.name}{needs} -d '{text}'\n"


def format_schema(registry: Registry = REGISTRY) -> str:
    """The JSON Schema of the json and yaml forms, for editors."""
    properties: dict[str, object] = {}
    for option in registry.options():
        for name in option.names:
            properties[name] = _property(option)
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "geuwsgi configuration",
        "type": "object",
        "properties": {"uwsgi": {"$ref": "#/$defs/section"}},
        "additionalProperties": {"$ref": "#/$defs/section"},
        "$defs": {
            "section": {
                "type": "object",
                "properties": properties,
                "additionalProperties": {
                    "description": "a variable of yours",
                    "type": ["string", "number", "boolean", "null", "array"],
                },
            }
        },
    }
    return json.dumps(document, indent=1) + "\n"


def _property(option: Option) -> dict[str, object]:
    described: dict[str, object] = {"description": option.help, **option.kind.schema}
    types = described["type"]
    assert isinstance(types, list)
    described["type"] = [*types, "null"]
    if not option.kind.many:
        described["type"] = [*types, "array", "null"]
    if option.choices:
        return {"description": option.help, "enum": list(option.choices)}
    return described


def format_manual(registry: Registry = REGISTRY) -> str:
    """The reference page of all options, in Markdown."""
    lines = [
        "# Options",
        "",
        "Every option of geuwsgi, by section. This page is made from the declarations:",
        "`python -m geuwsgi.config.reference > docs/options.md`.",
        "",
        "An option stands in an ini file as `name = value`, on the command line as",
        "`--name value` or `--name=value`, and in the environment as `UWSGI_NAME`.",
        "Options marked with their version are not in uWSGI 2.0.",
        "",
    ]
    for name, section in _sections(registry).items():
        lines += [f"## {section.title}", "", f"Section `{name}`.", ""]
        for option in section.declared:
            lines.append(_entry(option, registry))
        lines.append("")
    lines += _table(
        registry,
        "Accepted without effect",
        "These options of uWSGI mean nothing here. Each is noted once at start.",
        Standing.INERT,
    )
    lines += _table(
        registry,
        "Of other languages and platforms",
        "These are refused, or skipped with `ignore-foreign`.",
        Standing.FOREIGN,
    )
    return "\n".join(lines).rstrip() + "\n"


def _entry(option: Option, registry: Registry) -> str:
    known = registry.find(option.name)
    parts = [f"- `{option.name}`"]
    if option.short:
        parts.append(f"(`-{option.short}`)")
    parts.append(f"– {option.help}.")
    if (default := _default_text(option)) != "":
        parts.append(f"Default: {default}.")
    if option.aliases:
        parts.append("Also " + ", ".join(f"`{name}`" for name in option.aliases) + ".")
    if option.since:
        parts.append(f"({_since(option)})")
    if option.differs:
        parts.append(f"*Differs: {option.differs}.*")
    if known is not None and known.standing is Standing.PENDING:
        parts.append(f"**Not in effect yet: {known.reason}.**")
    elif known is not None and known.reason:
        parts.append(f"*Always so: {known.reason}.*")
    return " ".join(parts)


def _table(
    registry: Registry, title: str, text: str, standing: Standing
) -> Iterable[str]:
    yield from (f"## {title}", "", text, "")
    for name in registry.without_option(standing):
        known = registry.find(name)
        assert known is not None
        yield f"- `{name}`: {known.reason}"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(format_manual())

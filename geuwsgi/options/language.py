"""The configuration language."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, TEXT, TEXTS, Takes


class Language(Section):
    """The configuration language."""

    blacklist: str | None = option(
        "refuse these options (separated by blanks) from here on", TEXT
    )
    config: tuple[str, ...] = option("read a file, in the format its name tells", TEXTS)
    declare_option: tuple[str, ...] = option(
        "make a new option of others: name=option=$1;option=$2", TEXTS
    )
    declare_option2: tuple[str, ...] = option(
        "make a new option of others that acts after all files are read", TEXTS
    )
    else_: tuple[str, ...] = option(
        "turn the condition of the open block around", TEXTS, since="2.1"
    )
    end_blacklist: bool = option("end the blacklist", FLAG)
    endfor: str | None = option(
        "end a loop", TEXT, aliases=("end-for",), takes=Takes.MAYBE
    )
    endif: str | None = option(
        "end a condition",
        TEXT,
        aliases=(
            "end-if",
            "end",
        ),
        takes=Takes.MAYBE,
    )
    end_whitelist: bool = option("end the whitelist", FLAG)
    exit_: int = option(
        "exit at once, with this status", INT, at_least=0, takes=Takes.MAYBE
    )
    for_: tuple[str, ...] = option(
        "repeat the options up to endfor for each word, which %(_) stands for", TEXTS
    )
    for_glob: tuple[str, ...] = option(
        "repeat the options up to endfor for each path that matches", TEXTS
    )
    for_readline: tuple[str, ...] = option(
        "repeat the options up to endfor for each line of a file", TEXTS
    )
    for_times: tuple[str, ...] = option(
        "repeat the options up to endfor this many times, from 1", TEXTS
    )
    if_dir: tuple[str, ...] = option(
        "heed the options up to endif only if this directory exists",
        TEXTS,
        aliases=(
            "if-directory",
            "ifdir",
        ),
    )
    if_env: tuple[str, ...] = option(
        "heed the options up to endif only if this variable is set: NAME or NAME=value",
        TEXTS,
        aliases=("ifenv",),
    )
    if_exists: tuple[str, ...] = option(
        "heed the options up to endif only if this path exists",
        TEXTS,
        aliases=("ifexists",),
    )
    if_file: tuple[str, ...] = option(
        "heed the options up to endif only if this file exists", TEXTS
    )
    if_hostname: tuple[str, ...] = option(
        "heed the options up to endif only on this host", TEXTS
    )
    if_hostname_match: tuple[str, ...] = option(
        "heed the options up to endif only if the host name matches this regexp", TEXTS
    )
    if_not_dir: tuple[str, ...] = option(
        "heed the options up to endif only if this directory does not exist", TEXTS
    )
    if_not_env: tuple[str, ...] = option(
        "heed the options up to endif only if this variable is not set", TEXTS
    )
    if_not_exists: tuple[str, ...] = option(
        "heed the options up to endif only if this path does not exist", TEXTS
    )
    if_not_file: tuple[str, ...] = option(
        "heed the options up to endif only if this file does not exist", TEXTS
    )
    if_not_hostname: tuple[str, ...] = option(
        "heed the options up to endif only on other hosts", TEXTS
    )
    if_not_hostname_match: tuple[str, ...] = option(
        "heed the options up to endif only if the host name does not match", TEXTS
    )
    if_not_opt: tuple[str, ...] = option(
        "heed the options up to endif only if this option was not set so far", TEXTS
    )
    if_not_plugin: tuple[str, ...] = option(
        "heed the options up to endif only if this plugin is missing", TEXTS
    )
    if_not_reload: bool = option(
        "heed the options up to endif only at the first start", FLAG
    )
    if_opt: tuple[str, ...] = option(
        "heed the options up to endif only if this option was set so far: name or name=value",
        TEXTS,
    )
    if_plugin: tuple[str, ...] = option(
        "heed the options up to endif only if this plugin is there",
        TEXTS,
        aliases=("ifplugin",),
    )
    if_reload: bool = option("heed the options up to endif only after a reload", FLAG)
    include: tuple[str, ...] = option("read a file here", TEXTS)
    inherit: tuple[str, ...] = option("read a file after all others", TEXTS)
    ini: tuple[str, ...] = option(
        "read an ini file; file:section chooses a section", TEXTS
    )
    inject_after: tuple[str, ...] = option(
        "put the text of this file behind each configuration file", TEXTS
    )
    inject_before: tuple[str, ...] = option(
        "put the text of this file before each configuration file", TEXTS
    )
    iprint: tuple[str, ...] = option(
        "print a text while the configuration is read", TEXTS
    )
    json: tuple[str, ...] = option(
        "read a JSON file", TEXTS, short="j", aliases=("js",)
    )
    print_: tuple[str, ...] = option(
        "print a text when the configuration was read",
        TEXTS,
        differs="printed once, at start",
    )
    resolve: str | None = option(
        "make a variable of the address of a host: name=host", TEXT
    )
    set_: tuple[str, ...] = option(
        "set an option or a variable: name=value", TEXTS, short="S"
    )
    set_placeholder: tuple[str, ...] = option(
        "set a variable: name=value; an error if it is the name of an option",
        TEXTS,
        aliases=("set-ph",),
    )
    strict: bool = option("refuse unknown options", FLAG)
    whitelist: str | None = option(
        "refuse all but these options (separated by blanks) from here on", TEXT
    )
    xml: tuple[str, ...] = option(
        "read an XML file", TEXTS, short="x", aliases=("xmlconfig",)
    )
    yaml: tuple[str, ...] = option(
        "read a YAML file", TEXTS, short="y", aliases=("yml",)
    )
    ignore_foreign: bool = option(
        "skip options of other languages and platforms instead of refusing them",
        FLAG,
        since="geuwsgi",
    )
    toml: tuple[str, ...] = option("read a TOML file", TEXTS, since="geuwsgi")

"""The configuration language."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, TEXT, TEXTS, Takes


class Language(Section):
    """The configuration language."""

    blacklist: str | None = option(
        "space-separated options that are fatal if met from here on", TEXT
    )
    config: tuple[str, ...] = option(
        "read configuration through a pluggable config backend selected by extension",
        TEXTS,
    )
    declare_option: tuple[str, ...] = option(
        "define a new option as a template: name=opt1=..$1..;opt2=.. (active at once)",
        TEXTS,
    )
    declare_option2: tuple[str, ...] = option(
        "like declare-option but applied at the ordinary configuration pass", TEXTS
    )
    else_: tuple[str, ...] = option(
        "alternative branch of a conditional block", TEXTS, since="2.1"
    )
    end_blacklist: bool = option("stop the blacklist", FLAG)
    endfor: str | None = option(
        "end of a loop block", TEXT, aliases=("end-for",), takes=Takes.MAYBE
    )
    endif: str | None = option(
        "end of a conditional block", TEXT, aliases=("end-if",), takes=Takes.MAYBE
    )
    end_whitelist: bool = option("stop the whitelist", FLAG)
    exit_: int = option(
        "exit at once with the given code (default 0)",
        INT,
        at_least=0,
        takes=Takes.MAYBE,
    )
    for_: tuple[str, ...] = option(
        "repeat the following options for each word, %(_) being the current word", TEXTS
    )
    for_glob: tuple[str, ...] = option(
        "same loop over the paths matching a glob", TEXTS
    )
    for_readline: tuple[str, ...] = option("same loop over the lines of a file", TEXTS)
    for_times: tuple[str, ...] = option("same loop over 1..N", TEXTS)
    if_dir: tuple[str, ...] = option(
        "apply following options only if path is a directory",
        TEXTS,
        aliases=(
            "if-directory",
            "ifdir",
        ),
    )
    if_env: tuple[str, ...] = option(
        "apply following options only if an environment variable is set (or equals k=v)",
        TEXTS,
        aliases=("ifenv",),
    )
    if_exists: tuple[str, ...] = option(
        "apply following options only if a path exists", TEXTS, aliases=("ifexists",)
    )
    if_file: tuple[str, ...] = option(
        "apply following options only if path is a regular file", TEXTS
    )
    if_hostname: tuple[str, ...] = option(
        "apply following options only on the named host", TEXTS
    )
    if_hostname_match: tuple[str, ...] = option(
        "host name regexp condition (needs PCRE build)", TEXTS
    )
    if_not_dir: tuple[str, ...] = option("negated if-dir", TEXTS)
    if_not_env: tuple[str, ...] = option("negated if-env", TEXTS)
    if_not_exists: tuple[str, ...] = option("negated if-exists", TEXTS)
    if_not_file: tuple[str, ...] = option("negated if-file", TEXTS)
    if_not_hostname: tuple[str, ...] = option("negated if-hostname", TEXTS)
    if_not_hostname_match: tuple[str, ...] = option("negated if-hostname-match", TEXTS)
    if_not_opt: tuple[str, ...] = option("negated if-opt", TEXTS)
    if_not_plugin: tuple[str, ...] = option("negated if-plugin", TEXTS)
    if_not_reload: bool = option("negated if-reload", FLAG)
    if_opt: tuple[str, ...] = option(
        "apply following options only if an option is set (or equals k=v)", TEXTS
    )
    if_plugin: tuple[str, ...] = option(
        "apply following options only if a plugin is loaded",
        TEXTS,
        aliases=("ifplugin",),
    )
    if_reload: bool = option(
        "apply following options only during a re-exec reload", FLAG
    )
    include: tuple[str, ...] = option("load another config file right here", TEXTS)
    inherit: tuple[str, ...] = option(
        "load another config file as a template (its options are added to the list, non-immediate)",
        TEXTS,
    )
    ini: tuple[str, ...] = option(
        "read an ini file (file:section selects a section)", TEXTS
    )
    inject_after: tuple[str, ...] = option(
        "text file glued after the config file text before parsing", TEXTS
    )
    inject_before: tuple[str, ...] = option(
        "text file glued before the config file text before parsing", TEXTS
    )
    iprint: tuple[str, ...] = option("print a string while parsing", TEXTS)
    json: tuple[str, ...] = option(
        "read a JSON file (not compiled in the tested binary)",
        TEXTS,
        short="j",
        aliases=("js",),
    )
    print_: tuple[str, ...] = option("print a string while applying options", TEXTS)
    resolve: str | None = option(
        "placeholder=hostname: store a DNS lookup result in a placeholder", TEXT
    )
    set_: tuple[str, ...] = option(
        "key=value: set an option or, if unknown, a placeholder", TEXTS, short="S"
    )
    set_placeholder: tuple[str, ...] = option(
        "key=value: define a placeholder; fatal if the key is a real option",
        TEXTS,
        aliases=("set-ph",),
    )
    strict: bool = option(
        "reject unknown directives instead of silently accepting them", FLAG
    )
    whitelist: str | None = option(
        "space-separated list of the only options allowed from here on", TEXT
    )
    xml: tuple[str, ...] = option(
        "read an XML configuration file", TEXTS, short="x", aliases=("xmlconfig",)
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

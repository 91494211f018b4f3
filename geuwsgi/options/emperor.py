"""Emperor and vassals."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS


class Emperor(Section):
    """Emperor and vassals."""

    early_emperor: bool = option("start the emperor before anything else", FLAG)
    emperor: tuple[str, ...] = option(
        "run one instance for each configuration found here", TEXTS
    )
    emperor_broodlord: int = option(
        "allow this many reinforcements in zerg mode", INT, at_least=0, when_true=1
    )
    emperor_curse_tolerance: float = option(
        "wait this many seconds for a vassal that should end",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    emperor_extra_ext: tuple[str, ...] = option(
        "take files with this ending for vassals, too",
        TEXTS,
        aliases=("emperor-extra-extension",),
    )
    emperor_freq: float = option(
        "look for vassals every this many seconds", SECONDS, default=3.0, at_least=0
    )
    emperor_graceful_shutdown: bool = option(
        "let vassals finish when the emperor stops", FLAG
    )
    emperor_magic_exec: bool = option(
        "run executable vassal files and read what they print", FLAG
    )
    emperor_max_throttle: int = option(
        "wait no longer than this many milliseconds before a vassal is tried again",
        INT,
        default=180000,
        at_least=0,
    )
    emperor_no_blacklist: bool = option(
        "do not wait before a vassal that failed is tried again", FLAG
    )
    emperor_nofollow: bool = option("look at links themselves for changes", FLAG)
    emperor_on_demand_dir: str | None = option(
        "start a vassal when something connects to its socket in this directory",
        TEXT,
        aliases=("emperor-on-demand-directory",),
    )
    emperor_on_demand_exec: str | None = option(
        "start a vassal on demand; this command prints its socket", TEXT
    )
    emperor_on_demand_ext: str | None = option(
        "start a vassal on demand; the file with this ending names its socket",
        TEXT,
        aliases=("emperor-on-demand-extension",),
    )
    emperor_pidfile: str | None = option(
        "write the pid of the emperor to this file", TEXT
    )
    emperor_procname: str | None = option("give the emperor this process title", TEXT)
    emperor_required_heartbeat: float = option(
        "end a vassal that sent no heartbeat for this many seconds",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    emperor_stats: str | None = option(
        "serve statistics of the emperor on this address",
        TEXT,
        aliases=("emperor-stats-server",),
    )
    emperor_subreaper: bool = option(
        "let the emperor adopt the orphans of its vassals", FLAG, since="2.1"
    )
    emperor_throttle: int = option(
        "wait this many milliseconds more each time a vassal fails",
        INT,
        default=1000,
        at_least=0,
    )
    emperor_trigger_socket: str | None = option(
        "scan for vassals when something arrives on this socket", TEXT, since="2.1"
    )
    emperor_tyrant: bool = option(
        "run each vassal as the owner of its configuration file", FLAG
    )
    emperor_tyrant_initgroups: bool = option(
        "give vassals the supplementary groups of their user", FLAG, since="2.1"
    )
    emperor_tyrant_nofollow: bool = option(
        "look at links themselves for the owner", FLAG
    )
    emperor_wrapper: str | None = option("start vassals with this program", TEXT)
    emperor_wrapper_fallback: tuple[str, ...] = option(
        "start vassals with this program if others fail", TEXTS
    )
    emperor_wrapper_override: tuple[str, ...] = option(
        "start vassals with this program first", TEXTS
    )
    heartbeat: float = option(
        "tell the emperor every this many seconds that all is well",
        SECONDS,
        at_least=0,
        when_true=30,
    )
    vassal_set: tuple[str, ...] = option(
        "set an option in each vassal: name=value", TEXTS, aliases=("vassals-set",)
    )
    vassal_sos: float = option(
        "ask the emperor for help after all workers were busy for this many seconds",
        SECONDS,
        at_least=0,
    )
    vassal_sos_backlog: int = option(
        "ask the emperor for help when this many connections wait", INT, at_least=0
    )
    vassals_include: tuple[str, ...] = option(
        "have vassals read this file after their own", TEXTS
    )
    vassals_include_before: tuple[str, ...] = option(
        "have vassals read this file before their own", TEXTS
    )
    vassals_inherit: tuple[str, ...] = option(
        "have vassals inherit this file after their own", TEXTS
    )
    vassals_inherit_before: tuple[str, ...] = option(
        "have vassals inherit this file before their own", TEXTS
    )
    vassals_start_hook: str | None = option(
        "run a command before a vassal starts", TEXT
    )
    vassals_stop_hook: str | None = option("run a command after a vassal stopped", TEXT)

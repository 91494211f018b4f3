"""Emperor and vassals."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS


class Emperor(Section):
    """Emperor and vassals."""

    early_emperor: bool = option("start the emperor as early as possible", FLAG)
    emperor: tuple[str, ...] = option(
        "run as emperor over a vassal source (directory, glob, amqp, pg, zmq, ...)",
        TEXTS,
    )
    emperor_broodlord: int = option(
        "broodlord mode: allow N spare zerg reinforcements",
        INT,
        at_least=0,
        when_true=1,
    )
    emperor_chdir_attr: str | None = option(
        "attribute naming the working directory", TEXT, since="2.1"
    )
    emperor_collect_attr: tuple[str, ...] = option(
        "collect a vassal attribute from monitors",
        TEXTS,
        aliases=("emperor-collect-attribute",),
        since="2.1",
    )
    emperor_command_socket: str | None = option(
        "socket for emperor commands", TEXT, since="2.1"
    )
    emperor_curse_tolerance: float = option(
        "seconds a cursed vassal is tolerated before being killed (default 30)",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    emperor_extra_ext: tuple[str, ...] = option(
        "additional vassal file extension, loaded with --config",
        TEXTS,
        aliases=("emperor-extra-extension",),
    )
    emperor_fork_server_attr: str | None = option(
        "attribute naming the fork server", TEXT, since="2.1"
    )
    emperor_freq: float = option(
        "seconds between scans (default 3)", SECONDS, default=3.0, at_least=0
    )
    emperor_graceful_shutdown: bool = option(
        "stop vassals gracefully at emperor shutdown", FLAG
    )
    emperor_magic_exec: bool = option(
        "run executable vassal files and read their output as config", FLAG
    )
    emperor_max_throttle: int = option(
        "ceiling of that delay in ms (default 180000)", INT, default=180000, at_least=0
    )
    emperor_no_blacklist: bool = option("do not delay vassals that die quickly", FLAG)
    emperor_nofollow: bool = option("use lstat for vassal mtimes", FLAG)
    emperor_on_demand_dir: str | None = option(
        "directory of on-demand unix sockets named after the vassal",
        TEXT,
        aliases=("emperor-on-demand-directory",),
    )
    emperor_on_demand_exec: str | None = option(
        "command printing the on-demand socket of a vassal", TEXT
    )
    emperor_on_demand_ext: str | None = option(
        "extension of the text file that holds the on-demand socket name",
        TEXT,
        aliases=("emperor-on-demand-extension",),
    )
    emperor_pidfile: str | None = option("pidfile of the emperor", TEXT)
    emperor_procname: str | None = option("process title for the emperor", TEXT)
    emperor_proxy_socket: str | None = option(
        "make a vassal act as proxy emperor over a socket", TEXT
    )
    emperor_required_heartbeat: float = option(
        "seconds without heartbeat after which a vassal is cursed (default 30)",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    emperor_stats: str | None = option(
        "stats server of the emperor", TEXT, aliases=("emperor-stats-server",)
    )
    emperor_subreaper: bool = option("make the emperor a sub-reaper", FLAG, since="2.1")
    emperor_throttle: int = option(
        "respawn delay step for crashing vassals in ms (default 1000)",
        INT,
        default=1000,
        at_least=0,
    )
    emperor_trigger_socket: str | None = option(
        "socket that triggers emperor scans", TEXT, since="2.1"
    )
    emperor_tyrant: bool = option(
        "run each vassal as the uid/gid owning its config file", FLAG
    )
    emperor_tyrant_initgroups: bool = option(
        "supplementary groups in tyrant mode", FLAG, since="2.1"
    )
    emperor_tyrant_nofollow: bool = option(
        "do not follow symlinks for the tyrant ownership check", FLAG
    )
    emperor_use_fork_server: str | None = option(
        "start vassals through a fork server", TEXT, since="2.1"
    )
    emperor_wait_for_command: bool = option(
        "start vassals only on a spawn command", FLAG, since="2.1"
    )
    emperor_wait_for_command_ignore: tuple[str, ...] = option(
        "vassals exempt from that", TEXTS, since="2.1"
    )
    emperor_wrapper: str | None = option("binary used to start vassals", TEXT)
    emperor_wrapper_attr: str | None = option(
        "attribute naming the wrapper", TEXT, since="2.1"
    )
    emperor_wrapper_fallback: tuple[str, ...] = option("wrappers tried last", TEXTS)
    emperor_wrapper_override: tuple[str, ...] = option(
        "wrappers tried before the default one", TEXTS
    )
    fork_server: str | None = option(
        "pause after early init and fork per connection",
        TEXT,
        aliases=("fork-socket",),
        since="2.1",
    )
    heartbeat: float = option(
        "send a heartbeat byte to the emperor every N seconds",
        SECONDS,
        at_least=0,
        when_true=30,
    )
    vassal_fork_base: tuple[str, ...] = option(
        "vassals still started with plain fork", TEXTS, since="2.1"
    )
    vassal_set: tuple[str, ...] = option(
        "key=value passed with --set to each vassal", TEXTS, aliases=("vassals-set",)
    )
    vassal_sos: float = option(
        "seconds of all-busy state before asking the emperor for help",
        SECONDS,
        at_least=0,
    )
    vassal_sos_backlog: int = option(
        "backlog length that triggers the request for help", INT, at_least=0
    )
    vassals_include: tuple[str, ...] = option(
        "template included by all vassals (after their own file)", TEXTS
    )
    vassals_include_before: tuple[str, ...] = option(
        "template included before the vassal file", TEXTS
    )
    vassals_inherit: tuple[str, ...] = option(
        "template inherited by all vassals (after their own file)", TEXTS
    )
    vassals_inherit_before: tuple[str, ...] = option(
        "template inherited before the vassal file", TEXTS
    )
    vassals_start_hook: str | None = option("command run before a vassal starts", TEXT)
    vassals_stop_hook: str | None = option("command run after a vassal dies", TEXT)
    zeus: str | None = option("zeus mode, a supervisor of emperors", TEXT, since="2.1")

"""Statistics and their pushers."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS, Takes


class Stats(Section):
    """Statistics and their pushers."""

    carbon: tuple[str, ...] = option(
        "graphite/carbon server address host:port for pushed statistics",
        TEXTS,
        implies=("master",),
    )
    carbon_freq: float = option(
        "push period (default 60)", SECONDS, default=60.0, at_least=0
    )
    carbon_hostname_dots: str | None = option(
        "replacement of dots in the host name", TEXT
    )
    carbon_id: str | None = option("instance id in metric names", TEXT)
    carbon_idle_avg: str | None = option(
        "average value reported when idle: last, zero or none",
        TEXT,
        choices=("last", "zero", "none"),
    )
    carbon_max_retry: int = option(
        "connection retries (default 1)", INT, default=1, at_least=0
    )
    carbon_name_resolve: bool = option(
        "accept a host name instead of an IP", FLAG, aliases=("carbon-resolve-names",)
    )
    carbon_no_workers: bool = option("leave out per-worker values", FLAG)
    carbon_retry_delay: float = option(
        "delay between retries (default 7)", SECONDS, default=7.0, at_least=0
    )
    carbon_root: str | None = option(
        "root of metric names (default uwsgi)", TEXT, default="uwsgi"
    )
    carbon_timeout: float = option(
        "connection timeout (default 3)", SECONDS, default=3.0, at_least=0
    )
    carbon_use_metrics: bool = option("send the metrics subsystem values instead", FLAG)
    rrdtool: tuple[str, ...] = option(
        "write rrd files from metrics into a directory",
        TEXTS,
        implies=(
            "master",
            "enable-metrics",
        ),
    )
    rrdtool_freq: float = option(
        "rrd period (default 300)", SECONDS, default=300.0, at_least=0
    )
    rrdtool_lib: str | None = option("librrd file name", TEXT)
    snmp: str | None = option(
        "embedded SNMP server", TEXT, when_true=0, takes=Takes.MAYBE
    )
    snmp_community: str | None = option("SNMP community string", TEXT)
    stats: str | None = option(
        "JSON stats server address",
        TEXT,
        aliases=("stats-server",),
        implies=("master",),
    )
    stats_http: bool = option(
        "put an HTTP response head before the JSON", FLAG, implies=("master",)
    )
    stats_minified: bool = option(
        "JSON without white space", FLAG, aliases=("stats-min",), implies=("master",)
    )
    stats_no_cores: bool = option(
        "leave per-core data out of the JSON", FLAG, implies=("master",)
    )
    stats_no_metrics: bool = option(
        "leave metrics out of the JSON", FLAG, implies=("master",)
    )
    stats_push: tuple[str, ...] = option(
        "periodically push stats through a pusher plugin (socket, statsd, carbon, file...)",
        TEXTS,
        implies=(
            "master",
            "enable-metrics",
        ),
    )
    stats_pusher_default_freq: float = option(
        "default seconds between pushes (default 3)",
        SECONDS,
        default=3.0,
        aliases=("stats-pushers-default-freq",),
        at_least=0,
        implies=("master",),
    )
    statsd_all_gauges: bool = option("send everything as gauges", FLAG, since="2.1")
    statsd_no_workers: bool = option(
        "no per-worker values to statsd", FLAG, since="2.1"
    )

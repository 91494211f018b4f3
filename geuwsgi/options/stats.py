"""Statistics and their pushers."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS, Takes


class Stats(Section):
    """Statistics and their pushers."""

    carbon: tuple[str, ...] = option(
        "push statistics to this carbon server: host:port", TEXTS, implies=("master",)
    )
    carbon_freq: float = option(
        "push to carbon every this many seconds", SECONDS, default=60.0, at_least=0
    )
    carbon_hostname_dots: str | None = option(
        "write this for the dots of the host name", TEXT
    )
    carbon_id: str | None = option("name this instance in carbon", TEXT)
    carbon_idle_avg: str | None = option(
        "report this as the average of an idle worker: last, zero or none",
        TEXT,
        choices=("last", "zero", "none"),
    )
    carbon_max_retry: int = option(
        "try this many times to reach a carbon server", INT, default=1, at_least=0
    )
    carbon_name_resolve: bool = option(
        "resolve the host names of carbon servers",
        FLAG,
        aliases=("carbon-resolve-names",),
    )
    carbon_no_workers: bool = option("push no values of single workers to carbon", FLAG)
    carbon_retry_delay: float = option(
        "wait this many seconds before a carbon server is tried again",
        SECONDS,
        default=7.0,
        at_least=0,
    )
    carbon_root: str | None = option(
        "begin metric names in carbon with this", TEXT, default="uwsgi"
    )
    carbon_timeout: float = option(
        "wait this many seconds for a carbon server", SECONDS, default=3.0, at_least=0
    )
    carbon_use_metrics: bool = option(
        "push the values of the metrics to carbon instead",
        FLAG,
        implies=("enable-metrics",),
    )
    latency_percentiles: bool = option(
        "tell what half and what 99 % of the last minute's requests took at most", FLAG
    )
    snmp: str | None = option(
        "serve statistics over SNMP on this UDP address",
        TEXT,
        when_true=0,
        takes=Takes.MAYBE,
    )
    snmp_community: str | None = option("answer SNMP requests of this community", TEXT)
    stats: str | None = option(
        "serve statistics on this address",
        TEXT,
        aliases=("stats-server",),
        implies=("master",),
    )
    stats_http: bool = option("serve statistics over HTTP", FLAG, implies=("master",))
    stats_minified: bool = option(
        "write statistics without white space",
        FLAG,
        aliases=("stats-min",),
        implies=("master",),
    )
    stats_no_cores: bool = option(
        "leave single cores out of the statistics", FLAG, implies=("master",)
    )
    stats_no_metrics: bool = option(
        "leave metrics out of the statistics", FLAG, implies=("master",)
    )
    stats_push: tuple[str, ...] = option(
        "push statistics: pusher:arguments",
        TEXTS,
        implies=(
            "master",
            "enable-metrics",
        ),
    )
    stats_pusher_default_freq: float = option(
        "push statistics every this many seconds",
        SECONDS,
        default=3.0,
        aliases=("stats-pushers-default-freq",),
        at_least=0,
        implies=("master",),
    )
    statsd_all_gauges: bool = option(
        "send all values to statsd as gauges", FLAG, since="2.1"
    )
    statsd_no_workers: bool = option(
        "leave values of single workers out of what statsd gets", FLAG, since="2.1"
    )

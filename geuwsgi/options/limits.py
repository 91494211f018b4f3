"""Sizes and limits."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, MIB, SECONDS, TEXT


class Limits(Section):
    """Sizes and limits."""

    allowed_modifiers: str | None = option(
        "only these modifier1 values are served", TEXT
    )
    buffer_size: int = option(
        "maximum uwsgi packet / HTTP header block in bytes (16 bit, default 4096)",
        BYTES,
        default=65536,
        short="b",
        at_least=0,
    )
    cpu_affinity: int = option("number of CPUs bound to each worker", INT, at_least=0)
    evil_reload_on_as: int = option(
        "master kills a worker whose address space exceeds N MB",
        MIB,
        at_least=0,
        implies=("master",),
    )
    evil_reload_on_rss: int = option(
        "master kills a worker whose RSS exceeds N MB",
        MIB,
        at_least=0,
        implies=("master",),
    )
    limit_as: int = option("RLIMIT_AS in MB", MIB, at_least=0)
    limit_nproc: int = option("RLIMIT_NPROC", INT, at_least=0, when_true=0)
    limit_post: int = option(
        "maximum Content-Length; bigger requests are dropped without any response",
        BYTES,
        at_least=0,
    )
    max_apps: int = option(
        "maximum applications per worker", INT, default=64, at_least=0
    )
    max_vars: int = option(
        "size of the per-request iovec/variable table",
        INT,
        default=100,
        short="v",
        at_least=0,
    )
    mem_collector_freq: float = option(
        "seconds between memory checks for the evil variants",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    memory_report: bool = option(
        "print rss and vsz in the default request log line", FLAG, short="m"
    )
    no_orphans: bool = option("workers exit if the master disappears", FLAG)
    prio: int = option("nice value of the processes", INT)
    reload_on_as: int = option(
        "gracefully recycle a worker after a request if its address space exceeds N MB",
        MIB,
        at_least=0,
    )
    reload_on_pss: int = option(
        "recycle a worker when PSS exceeds N MB", MIB, at_least=0, since="2.1"
    )
    reload_on_rss: int = option(
        "gracefully recycle a worker after a request if its RSS exceeds N MB",
        MIB,
        at_least=0,
    )
    reload_on_uss: int = option(
        "recycle a worker when USS exceeds N MB", MIB, at_least=0, since="2.1"
    )
    remap_modifier: str | None = option("from:to pairs that rewrite modifier1", TEXT)
    response_headers_limit: int = option(
        "limit of the response header block (default 65536, 16-bit clamp)",
        BYTES,
        default=65536,
        at_least=0,
    )

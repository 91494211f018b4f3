"""Sizes and limits."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, MIB, SECONDS, TEXT


class Limits(Section):
    """Sizes and limits."""

    allowed_modifiers: str | None = option(
        "answer only packets with these modifiers: 0,173",
        TEXT,
        differs="requests (modifier 0) are always answered",
    )
    buffer_size: int = option(
        "allow heads of requests of up to this many bytes",
        BYTES,
        default=65536,
        short="b",
        at_least=0,
        differs="the default is 65536 and more is allowed; too large a head is answered with 431",
    )
    cpu_affinity: int = option("bind each worker to this many CPUs", INT, at_least=0)
    evil_reload_on_as: int = option(
        "kill a worker whose address space exceeds this many MB",
        MIB,
        at_least=0,
        implies=("master",),
    )
    evil_reload_on_rss: int = option(
        "kill a worker whose resident memory exceeds this many MB",
        MIB,
        at_least=0,
        implies=("master",),
    )
    limit_as: int = option(
        "limit the address space of each process to this many MB", MIB, at_least=0
    )
    limit_nproc: int = option(
        "limit the number of processes of the user", INT, at_least=0, when_true=0
    )
    limit_post: int = option(
        "refuse request bodies above this many bytes",
        BYTES,
        at_least=0,
        differs="answered with 413; uWSGI drops the connection",
    )
    max_connections: int = option(
        "hold at most this many connections in a worker; more wait in the backlog",
        INT,
        at_least=0,
        since="geuwsgi",
    )
    max_connections_per_address: int = option(
        "hold at most this many connections of one address in a worker",
        INT,
        at_least=0,
        since="geuwsgi",
    )
    slow_readers_memory: int = option(
        "keep this many MB of answers that slow readers have not taken in memory",
        MIB,
        default=256 << 20,
        at_least=0,
        since="geuwsgi",
    )
    slow_readers_disk: int = option(
        "keep this many MB more of such answers in temporary files",
        MIB,
        default=1 << 30,
        at_least=0,
        since="geuwsgi",
    )
    max_vars: int = option(
        "allow this many variables in a request",
        INT,
        default=100,
        short="v",
        at_least=0,
    )
    mem_collector_freq: float = option(
        "look at the memory of workers every this many seconds",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    memory_report: bool = option("print memory use in the request log", FLAG, short="m")
    no_orphans: bool = option("end workers when the master is gone", FLAG)
    prio: int = option("set the nice value of the processes", INT)
    reload_on_as: int = option(
        "recycle a worker whose address space exceeds this many MB", MIB, at_least=0
    )
    reload_on_pss: int = option(
        "recycle a worker whose proportional memory exceeds this many MB",
        MIB,
        at_least=0,
        since="2.1",
    )
    reload_on_rss: int = option(
        "recycle a worker whose resident memory exceeds this many MB", MIB, at_least=0
    )
    reload_on_uss: int = option(
        "recycle a worker whose own memory exceeds this many MB",
        MIB,
        at_least=0,
        since="2.1",
    )
    remap_modifier: str | None = option(
        "take packets of one modifier for those of another: from:to,from:to", TEXT
    )

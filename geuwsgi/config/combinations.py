"""Options that are right one by one and useless, or surprising, together.

Two tables and a few questions that no table holds. Everything here is a warning: such
a configuration starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from geuwsgi.config.configuration import Configuration
from geuwsgi.config.model import Note, Topic


class _Need(NamedTuple):
    """Options that act only if one of others is there. A final ``-`` is a prefix."""

    options: tuple[str, ...]
    needed: tuple[str, ...]
    sentence: str


_NEEDS = (
    _Need(("http-",), ("http", "https", "https2", "http-to-https"), "no http address"),
    _Need(("https-export-cert",), ("https", "https2"), "no https address"),
    _Need(("cheaper-",), ("cheaper",), "no 'cheaper'"),
    _Need(("spooler-",), ("spooler", "spooler-external"), "no 'spooler'"),
    _Need(
        ("stats-http", "stats-minified", "stats-no-cores", "stats-no-metrics"),
        ("stats", "stats-push"),
        "no 'stats'",
    ),
    _Need(
        ("static-expires", "static-gzip", "static-index", "static-skip-ext"),
        ("static-map", "static-map2", "check-static", "check-static-docroot", "route-"),
        "no static files are served",
    ),
    _Need(("queue-",), ("queue",), "no 'queue'"),
    _Need(("cache-blocksize", "cache-store"), ("cache",), "no 'cache'"),
    _Need(("emperor-", "vassal"), ("emperor",), "no 'emperor'"),
    _Need(("fastrouter-",), ("fastrouter",), "no 'fastrouter'"),
    _Need(("rawrouter-",), ("rawrouter",), "no 'rawrouter'"),
    _Need(("sslrouter-",), ("sslrouter", "sslrouter2"), "no 'sslrouter'"),
    _Need(("carbon-",), ("carbon",), "no 'carbon'"),
    _Need(("snmp-community",), ("snmp",), "no 'snmp'"),
    _Need(("max-requests-delta",), ("max-requests",), "no 'max-requests'"),
    _Need(
        ("max-worker-lifetime-delta",),
        ("max-worker-lifetime",),
        "no 'max-worker-lifetime'",
    ),
    _Need(("harakiri-",), ("harakiri",), "no 'harakiri'"),
    _Need(
        ("log-4xx", "log-5xx", "log-slow", "log-big", "log-zero", "log-sendfile"),
        ("disable-logging",),
        "all requests are logged anyway without 'disable-logging'",
    ),
    _Need(
        ("log-maxsize", "log-backupname", "log-truncate", "log-reopen"),
        ("logto", "logto2", "daemonize", "daemonize2", "logger", "req-logger"),
        "there is no log file",
    ),
    _Need(
        ("callable",),
        ("module", "wsgi-file", "eval", "mount", "emperor", "py"),
        "no module or file is loaded",
    ),
    _Need(("paste-logger",), ("paste", "ini-paste"), "no 'paste'"),
    _Need(("zerg-fallback",), ("zerg",), "no 'zerg'"),
    _Need(("sni", "ssl-"), ("https", "https2", "https-socket"), "no https address"),
)

# Options of these tables that act wherever they stand, so need nothing.
_INDEPENDENT = frozenset({"http-socket-modifier1", "http-socket-modifier2"})

_RIVALS = (
    ("module", "wsgi-file", "both name the application"),
    ("gevent-monkey-patch", "gevent-early-monkey-patch", "one is enough"),
    ("lazy", "lazy-apps", "one is enough"),
    ("logto", "daemonize", "both name the log"),
)


def find_combinations(configuration: Configuration, somaxconn: int) -> list[Note]:
    """What to tell about options together. ``somaxconn`` is the kernel's limit, or 0."""
    used: dict[str, str] = {}
    for name, _, origin in configuration.assignments:
        used.setdefault(name, origin)
    notes = [
        *_unmet(used),
        *_rivals(used),
        *_numbers(configuration, used, somaxconn),
        *_addresses(configuration, used),
    ]
    return list(dict.fromkeys(notes))


def _note(used: dict[str, str], name: str, sentence: str) -> Note:
    return Note(Topic.COMBINATION, f"{name}: {sentence}", used.get(name, ""), name)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(
        name == pattern or (pattern.endswith("-") and name.startswith(pattern))
        for pattern in patterns
    )


def _unmet(used: dict[str, str]) -> Iterator[Note]:
    for need in _NEEDS:
        if any(_matches(name, need.needed) for name in used):
            continue
        for name in used:
            if name.startswith(("http-socket", "http11-")) or name in _INDEPENDENT:
                continue
            if _matches(name, need.options):
                yield _note(used, name, f"has no effect: {need.sentence}")


def _rivals(used: dict[str, str]) -> Iterator[Note]:
    for first, second, sentence in _RIVALS:
        if first in used and second in used:
            yield _note(used, second, f"{sentence}: {first!r} is there, too")


def _numbers(
    configuration: Configuration, used: dict[str, str], somaxconn: int
) -> Iterator[Note]:
    settings = configuration.settings
    workers, http = settings.workers, settings.http
    cores = workers.gevent or workers.async_
    if cores and workers.threads > 1:
        yield _note(used, "threads", "has no effect beside gevent")
    if workers.gevent and workers.async_ and workers.gevent != workers.async_:
        yield _note(used, "async", f"gevent says {workers.gevent}, which counts")
    if workers.loop not in (None, "gevent"):
        yield _note(used, "loop", f"{workers.loop!r}: the loop is gevent")
    if somaxconn and settings.sockets.listen > somaxconn:
        sentence = f"the kernel allows {somaxconn} (net.core.somaxconn)"
        yield _note(used, "listen", sentence)
    if workers.cheaper and workers.cheaper >= workers.processes:
        sentence = f"{workers.cheaper} is not below the {workers.processes} processes"
        yield _note(used, "cheaper", sentence)
    if workers.cheaper_initial > workers.processes:
        sentence = f"{workers.cheaper_initial} is above the processes"
        yield _note(used, "cheaper-initial", sentence)
    if "http-timeout" in used and 0 < workers.harakiri < http.http_timeout:
        sentence = f"ends requests before http-timeout ({http.http_timeout:g}) does"
        yield _note(used, "harakiri", sentence)
    if workers.processes > 1 and not settings.process.master:
        name = "workers" if "workers" in used else "processes"
        yield _note(used, name, "without 'master' a worker that dies is not replaced")
    mercy = settings.reload.worker_reload_mercy
    if "worker-reload-mercy" in used and mercy < workers.harakiri:
        sentence = f"ends requests that harakiri ({workers.harakiri:g}) would allow"
        yield _note(used, "worker-reload-mercy", sentence)


def _addresses(configuration: Configuration, used: dict[str, str]) -> Iterator[Note]:
    seen: dict[str, str] = {}
    for kind, address, origin in configuration.listeners:
        bare = address.partition(",")[0].strip()
        if bare in seen and not bare.startswith("="):
            message = f"{kind}: {bare!r} is given twice, at {seen[bare]}, too"
            yield Note(Topic.COMBINATION, message, origin, kind)
        seen.setdefault(bare, origin)
    log = configuration.settings.process.daemonize
    if log is not None and log.lower() in ("true", "1", "yes", "on"):
        yield _note(used, "daemonize", f"the log goes to a file called {log!r}")

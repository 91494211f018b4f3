"""``if-…`` and ``for…``: which of the options inside a block count, and how often.

A block is open from its directive to the next end; there is never more than one. It
answers with the items that ``%(_)`` stands for, once for each time an option counts;
None is an item that leaves ``%(_)`` as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from geuwsgi.config.host import Host, SourceError
from geuwsgi.config.sources import decode, read_source

BUILT_IN_PLUGINS = frozenset(
    [
        "python",
        "python3",
        "gevent",
        "http",
        "corerouter",
        "fastrouter",
        "rawrouter",
        "sslrouter",
        "router_static",
        "router_redirect",
        "router_rewrite",
        "router_basicauth",
        "router_cache",
        "router_http",
        "router_uwsgi",
        "cache",
        "ping",
        "rpc",
        "signal",
        "spooler",
        "stats_pusher_statsd",
        "carbon",
        "logfile",
        "logsocket",
        "rsyslog",
        "syslog",
        "cheaper_busyness",
        "nagios",
        "zergpool",
        "transformation_gzip",
        "transformation_chunked",
        "transformation_offload",
        "transformation_tofile",
    ]
)


class Surroundings(NamedTuple):
    """What a condition may ask: the machine, and the options read so far."""

    host: Host
    environ: Mapping[str, str]
    value_of: Callable[[str], str | None]
    """The value of the first pair of that name, "" if it stood alone, or None."""


class Block(NamedTuple):
    """An open block: its directive, its argument, and its turn at ``else``."""

    name: str
    argument: str
    origin: str
    inverted: bool = False

    def items(self, around: Surroundings) -> list[str | None]:
        """What ``%(_)`` stands for, each time a following option counts.

        Raises SourceError if the argument names something unreadable, ValueError if
        it means nothing.
        """
        if self.name in LOOPS:
            return list(LOOPS[self.name](self.argument, around))
        base = self.name.replace("if-not-", "if-")
        item = CONDITIONS[base](self.argument, around)
        wanted = self.name == base
        if self.inverted:
            wanted = not wanted
        if (item is not None) is not wanted:
            return []
        return [item if wanted else None]


def _if_env(argument: str, around: Surroundings) -> str | None:
    name, equals, wanted = argument.partition("=")
    value = around.environ.get(name)
    if value is None or (equals and value != wanted):
        return None
    return value


def _if_opt(argument: str, around: Surroundings) -> str | None:
    name, equals, wanted = argument.partition("=")
    value = around.value_of(name)
    if value is None or (equals and value != wanted):
        return None
    return value


def _if_exists(argument: str, around: Surroundings) -> str | None:
    return argument if around.host.exists(argument) else None


def _if_file(argument: str, around: Surroundings) -> str | None:
    return argument if around.host.is_file(argument) else None


def _if_dir(argument: str, around: Surroundings) -> str | None:
    return argument if around.host.is_directory(argument) else None


def _if_plugin(argument: str, around: Surroundings) -> str | None:
    return argument if argument in BUILT_IN_PLUGINS else None


def _if_reload(argument: str, around: Surroundings) -> str | None:
    return argument if around.host.is_reload else None


def _if_hostname(argument: str, around: Surroundings) -> str | None:
    return argument if around.host.hostname == argument else None


def _if_hostname_match(argument: str, around: Surroundings) -> str | None:
    try:
        found = re.search(argument, around.host.hostname)
    except re.error as exc:
        raise ValueError(f"malformed regular expression {argument!r}: {exc}") from exc
    return around.host.hostname if found else None


def _for(argument: str, around: Surroundings) -> Iterable[str]:
    return (word for word in argument.split(" ") if word)


def _for_glob(argument: str, around: Surroundings) -> Iterable[str]:
    # As in a shell, a pattern that matches nothing stands for itself.
    return around.host.glob(argument) or [argument]


def _for_times(argument: str, around: Surroundings) -> Iterable[str]:
    if not argument.strip().isdecimal() or len(argument) > 6:
        raise ValueError(f"{argument!r} is not a number of times")
    return (str(number) for number in range(1, int(argument) + 1))


def _for_readline(argument: str, around: Surroundings) -> Iterable[str]:
    text = decode(read_source(argument, around.host))
    return (line.rstrip("\r") for line in text.removesuffix("\n").split("\n"))


CONDITIONS: dict[str, Callable[[str, Surroundings], str | None]] = {
    "if-env": _if_env,
    "if-opt": _if_opt,
    "if-exists": _if_exists,
    "if-file": _if_file,
    "if-dir": _if_dir,
    "if-plugin": _if_plugin,
    "if-reload": _if_reload,
    "if-hostname": _if_hostname,
    "if-hostname-match": _if_hostname_match,
}
LOOPS: dict[str, Callable[[str, Surroundings], Iterable[str]]] = {
    "for": _for,
    "for-glob": _for_glob,
    "for-times": _for_times,
    "for-readline": _for_readline,
}

__all__ = ["BUILT_IN_PLUGINS", "Block", "SourceError", "Surroundings"]

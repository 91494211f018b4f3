"""Where a key leads: the ways of uWSGI's routers to find a backend, one after another.

A *finder* knows some keys and answers with nodes to try, best first. ``Routes`` asks
the finders in turn and yields what they know, then the backends of last resort.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from geuwsgi.errors import ConfigError
from geuwsgi.net.address import parse_backend
from geuwsgi.routers.nodes import Node, Table, order_nodes

GRACE_S = 30.0

#: Nodes found by name of which the state is remembered.
_MOST_REMEMBERED = 4096

# What may become part of a path: no slash, nothing that begins with a dot.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?!\.))*", re.ASCII)

#: Key and client → nodes to try; None if the key is unknown.
Finder = Callable[[str, str], Iterable[Node] | None]


class StaticNodes:
    """The fixed backends of an option, in turn whatever the key."""

    def __init__(
        self,
        addresses: Iterable[str],
        *,
        clock: Callable[[], float],
        algorithm: str = "wrr",
    ) -> None:
        """Raises ConfigError for what is no address."""
        self.nodes = [Node(text, parse_backend(text)) for text in addresses]
        self._clock = clock
        self._algorithm = algorithm

    def __call__(self, key: str, client: str) -> Iterable[Node] | None:
        if not self.nodes:
            return None
        return order_nodes(self.nodes, self._algorithm, client, self._clock())


class SubscribedNodes:
    """The nodes that announced themselves for a key.

    ``fallback_key`` is used for keys that nobody announced.
    """

    def __init__(
        self,
        table: Table,
        *,
        clock: Callable[[], float],
        algorithm: str = "wrr",
        fallback_key: str = "",
    ) -> None:
        self._table = table
        self._clock = clock
        self._algorithm = algorithm
        self._fallback_key = fallback_key

    def __call__(self, key: str, client: str) -> Iterable[Node] | None:
        pool = self._table.find(key)
        if pool is None and self._fallback_key:
            pool = self._table.pools.get(self._fallback_key)
        if pool is None:
            return None
        pool.hits += 1
        algorithm = pool.algorithm or self._algorithm
        return order_nodes(pool.nodes, algorithm, client, self._clock())


class NamedNodes:
    """Nodes whose address is made of the key or looked up under it.

    ``find`` returns the text of an address, with ``,modifier1`` behind it if there is
    one (as uWSGI's cache has it), or None.
    """

    def __init__(self, find: Callable[[str], str | None]) -> None:
        self._find = find
        self._known: dict[str, Node] = {}

    def __call__(self, key: str, client: str) -> Iterable[Node] | None:
        text = self._find(key)
        if not text:
            return None
        node = self._known.get(text)
        if node is None:
            try:
                node = _node_of(text)
            except ConfigError:
                return None
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[text] = node
        return (node,)


def _node_of(text: str) -> Node:
    address, comma, modifier1 = text.partition(",")
    if comma and not (modifier1.isascii() and modifier1.isdigit()):
        raise ConfigError(f"malformed modifier1 in {text!r}")
    return Node(address, parse_backend(address), min(int(modifier1 or 0), 255))


def host_of(key: str) -> str:
    """The key as part of a path; empty if it could lead elsewhere.

    A port is left out: sockets are named after hosts.
    """
    host = key.lower()
    if not host.startswith("["):
        host = host.partition(":")[0]
    return host if _NAME.fullmatch(host) else ""


def by_pattern(pattern: str) -> Callable[[str], str | None]:
    """``%s`` of a pattern is the key."""

    def find(key: str) -> str | None:
        host = host_of(key)
        return pattern.replace("%s", host) if host else None

    return find


def by_base(base: str) -> Callable[[str], str | None]:
    """A Unix socket in a directory bears the key's name."""

    def find(key: str) -> str | None:
        host = host_of(key)
        return f"{base.rstrip('/')}/{host}" if host else None

    return find


def by_cache(get: Callable[[bytes], bytes | None]) -> Callable[[str], str | None]:
    """What a cache holds under the key, as it came or without its port."""

    def find(key: str) -> str | None:
        for name in dict.fromkeys((key, key.lower(), key.lower().partition(":")[0])):
            value = get(name.encode("latin-1", "replace")) if name else None
            if value:
                return value.decode("latin-1")
        return None

    return find


def by_code(
    call: Callable[[str], object], report: Callable[[str], None]
) -> Callable[[str], str | None]:
    """What a function returns for the key; one that fails knows nothing."""

    def find(key: str) -> str | None:
        try:
            found = call(key)
        except Exception as exc:  # around a function of the application
            report(f"code string: {type(exc).__name__}: {exc}")
            return None
        if isinstance(found, bytes):
            found = found.decode("latin-1")
        return found if isinstance(found, str) else None

    return find


class Routes:
    """See the module's text.

    With ``strict_key`` a key that no finder knows has no backend at all, not even one
    of last resort (uWSGI's fastrouter, unless fastrouter-fallback-on-no-key).
    ``most`` is how many are tried at all, 0 for no limit.
    """

    def __init__(
        self,
        finders: Sequence[Finder],
        fallback: StaticNodes,
        *,
        clock: Callable[[], float],
        grace_s: float = GRACE_S,
        strict_key: bool = False,
        most: int = 0,
    ) -> None:
        self._finders = tuple(finders)
        self._fallback = fallback
        self._clock = clock
        self._grace_s = grace_s or GRACE_S
        self._strict_key = strict_key
        self._most = most

    def candidates(self, key: str, client: str) -> Iterator[Node]:
        """The nodes to try for one request."""
        found = self._all(key, client)
        return itertools.islice(found, self._most) if self._most else found

    def _all(self, key: str, client: str) -> Iterator[Node]:
        now = self._clock()
        is_known = False
        dead: list[Node] = []
        for finder in self._finders:
            found = finder(key, client)
            if found is None:
                continue
            is_known = True
            for node in found:
                if node.dead_until > now:
                    dead.append(node)
                else:
                    yield node
            break
        if is_known or not self._strict_key:
            yield from self._fallback(key, client) or ()
        yield from dead

    def failed(self, node: Node) -> None:
        """Leave ``node`` alone for a while."""
        node.failures += 1
        node.dead_until = self._clock() + self._grace_s

    def reached(self, node: Node) -> None:
        """It answered after all."""
        node.dead_until = 0.0

"""Who serves a key: nodes, how one is chosen, and when they are forgotten. Pure.

Times are monotonic seconds and come as arguments. Names of algorithms are uWSGI's:

======== =========================================================================
``wrr``   in turn, by weight
``lrc``   the node with the fewest requests in flight
``wlrc``  the same, in flight divided by weight
``iphash`` the client's address decides, so a client stays with its node
======== =========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from geuwsgi.errors import ConfigError
from geuwsgi.net.address import Address

#: uWSGI's names for iphash over the years.
_ALIASES = {"ip-hash": "iphash", "ip_hash": "iphash", "rr": "wrr"}


@dataclass(slots=True, eq=False)
class Node:
    """One server. ``name`` is its address as it was written.

    ``dead_until`` is when it may be tried again after a failure, ``references`` how
    many requests it has in flight. ``speaks_http`` is whether it wants HTTP instead of
    uwsgi packets; None is the router's choice. ``certificate`` names the files of
    certificate, key and client CA that TLS shows for its key. ``told_at`` is when it
    announced itself last; ``said_as`` and ``said_unix`` are the address that it gave
    then and the time of its clock.
    """

    name: str
    address: Address
    modifier1: int = 0
    modifier2: int = 0
    weight: int = 1
    cores: int = 1
    load: int = 0
    backup: int = 0
    speaks_http: bool | None = None
    certificate: tuple[str, str, str] = ("", "", "")
    dead_until: float = 0.0
    told_at: float = 0.0
    told_unix: int = 0
    said_as: str = ""
    said_unix: int = 0
    uid: int = 0
    gid: int = 0
    pid: int = 0
    credit: int = 0
    references: int = 0
    requests: int = 0
    failures: int = 0
    received: int = 0
    sent: int = 0

    def begin(self) -> None:
        """A request goes there."""
        self.references += 1
        self.requests += 1

    def end(self) -> None:
        """It is over."""
        self.references -= 1


@dataclass(slots=True, eq=False)
class Pool:
    """The nodes of one key."""

    key: str
    nodes: list[Node] = field(default_factory=list)
    hits: int = 0
    algorithm: str = ""
    _by_name: dict[str, Node] = field(default_factory=dict)

    def find(self, name: str) -> Node | None:
        """The node with that address."""
        return self._by_name.get(name)

    def add(self, node: Node) -> None:
        """Add a node that is not there yet."""
        self.nodes.append(node)
        self._by_name[node.name] = node

    def remove(self, node: Node) -> None:
        """Forget a node that is there."""
        self.nodes.remove(node)
        del self._by_name[node.name]


#: Orders nodes for one request, best first; may keep a state in them.
Algorithm = Callable[[Sequence[Node], str], list[Node]]


def _in_turn(nodes: Sequence[Node], client: str) -> list[Node]:
    # Smooth weighted round robin: heavy nodes do not get their turns in one go.
    total = 0
    for node in nodes:
        weight = max(node.weight, 1)
        node.credit += weight
        total += weight
    ordered = sorted(nodes, key=lambda node: -node.credit)
    if ordered:
        ordered[0].credit -= total
    return ordered


def _least_busy(nodes: Sequence[Node], client: str) -> list[Node]:
    in_turn = _in_turn(nodes, client)  # among equals
    return sorted(in_turn, key=lambda node: node.references)


def _least_busy_by_weight(nodes: Sequence[Node], client: str) -> list[Node]:
    in_turn = _in_turn(nodes, client)
    return sorted(in_turn, key=lambda node: node.references / max(node.weight, 1))


def _by_client(nodes: Sequence[Node], client: str) -> list[Node]:
    # Highest hash of (client, node): when a node goes, only its clients move.
    return sorted(
        nodes,
        key=lambda node: blake2b(
            f"{client} {node.name}".encode(), digest_size=8
        ).digest(),
        reverse=True,
    )


ALGORITHMS: dict[str, Algorithm] = {
    "wrr": _in_turn,
    "lrc": _least_busy,
    "wlrc": _least_busy_by_weight,
    "iphash": _by_client,
}


def find_algorithm(name: str) -> str:
    """The name of an algorithm as it is known here. Raises ConfigError."""
    known = _ALIASES.get(name.lower(), name.lower())
    if known not in ALGORITHMS:
        raise ConfigError(
            f"unknown algorithm {name!r} (known: {', '.join(sorted(ALGORITHMS))})"
        )
    return known


def order_nodes(
    nodes: Sequence[Node], algorithm: str, client: str, now: float
) -> Iterator[Node]:
    """The nodes to try for one request, best first.

    Backups come after all that are not, and those that failed lately last: better
    tried than nobody.
    """
    alive = [node for node in nodes if node.dead_until <= now]
    choose = ALGORITHMS[algorithm]
    if any(node.backup for node in alive):
        for level in sorted({node.backup for node in alive}):
            yield from choose([n for n in alive if n.backup == level], client)
    else:
        yield from choose(alive, client)
    if len(alive) != len(nodes):
        yield from sorted(
            (node for node in nodes if node.dead_until > now),
            key=lambda node: node.dead_until,
        )


class Table:
    """All pools of a router, by key.

    ``dot_split`` looks for ``.b.c`` where ``a.b.c`` is unknown (uWSGI:
    subscription-dotsplit). ``on_change`` is told when a node came or went.
    ``on_missing`` is asked for news before a key counts as unknown: whether there were
    any.
    """

    def __init__(
        self,
        *,
        tolerance_s: float = 17.0,
        dot_split: bool = False,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.pools: dict[str, Pool] = {}
        #: Nodes of all pools.
        self.count = 0
        self.on_change = on_change
        self.on_missing: Callable[[], bool] = lambda: False
        self._tolerance_s = tolerance_s
        self._dot_split = dot_split

    def __bool__(self) -> bool:
        return bool(self.pools)

    def find(self, key: str) -> Pool | None:
        """The pool of a key: as written, in lower case, or without its port."""
        pool = self._find(key)
        if pool is None and self.on_missing():
            pool = self._find(key)
        return pool

    def _find(self, key: str) -> Pool | None:
        lower = key.lower()
        host = lower if lower.startswith("[") else lower.partition(":")[0]
        for name in (key, lower, host):
            pool = self.pools.get(name)
            if pool is not None:
                return pool
        if self._dot_split:
            dot = host.find(".", 1)
            while dot >= 0:
                pool = self.pools.get(host[dot:])
                if pool is not None:
                    return pool
                dot = host.find(".", dot + 1)
        return None

    def add(self, key: str, node: Node, *, algorithm: str = "") -> None:
        """Add a node that is not there yet."""
        pool = self.pools.get(key)
        if pool is None:
            pool = self.pools[key] = Pool(key)
        pool.add(node)
        self.count += 1
        pool.algorithm = algorithm or pool.algorithm
        self.on_change()

    def remove(self, key: str, name: str) -> bool:
        """Forget a node; whether it was there."""
        pool = self.pools.get(key)
        node = pool.find(name) if pool is not None else None
        if pool is None or node is None:
            return False
        pool.remove(node)
        self.count -= 1
        if not pool.nodes:
            del self.pools[key]
        self.on_change()
        return True

    def certificates(self) -> dict[str, tuple[str, str, str]]:
        """Files of certificates by key, of the first node that names some."""
        return {
            pool.key.lower().partition(":")[0]: node.certificate
            for pool in self.pools.values()
            for node in reversed(pool.nodes)
            if node.certificate[0]
        }

    def forget_silent(self, now: float) -> list[tuple[str, Node]]:
        """Forget those that did not announce themselves for too long; return them."""
        silent = [
            (pool.key, node)
            for pool in self.pools.values()
            for node in pool.nodes
            if now - node.told_at > self._tolerance_s
        ]
        for key, node in silent:
            self.remove(key, node.name)
        return silent

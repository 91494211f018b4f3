"""Who the client is when trusted proxies stand between (RFC 7239).

``Forwarded`` and ``X-Forwarded-*`` are written by anyone who likes. They are read
from their end: the last hop was added by the peer itself, the one before by the proxy
it names, and so on as long as each hop is trusted. The first that is not trusted is
the client. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

from geuwsgi.errors import ConfigError

MAX_HOPS = 32

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PAIR = re.compile(
    r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^;,\" \t]*))"
    r"[ \t]*(;|,|\Z)"
)
_PORT = re.compile(r"\d{1,5}", re.ASCII)


class Hop(NamedTuple):
    """One entry: the address as text, without port, and the scheme, if told."""

    address: str
    scheme: str = ""
    host: str = ""


class TrustedProxies:
    """Networks whose word counts. Unix sockets are trusted: only this machine's
    processes reach them, by permission of the file system.
    """

    __slots__ = ("_networks", "_seen")

    def __init__(self, networks: Iterable[str]) -> None:
        """Raises ConfigError for what is no network, in CIDR or as one address."""
        self._networks = tuple(_parse_network(text) for text in networks)
        self._seen: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        """Whether the peer with this address is a trusted proxy."""
        known = self._seen.get(address)
        if known is None:
            known = self._is_trusted(address)
            if len(self._seen) >= 1024:  # clients bring ever new addresses
                self._seen.clear()
            self._seen[address] = known
        return known

    def _is_trusted(self, address: str) -> bool:
        parsed = _parse_address(address)
        return parsed is not None and any(
            parsed.version == network.version and parsed in network
            for network in self._networks
        )


def _parse_network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as exc:
        raise ConfigError(f"malformed network {text!r}: {exc}") from None


def _parse_address(text: str) -> IPAddress | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


def client_of(peer: str, hops: list[Hop], trusted: TrustedProxies) -> Hop | None:
    """The hop that is the client, or None if ``peer`` is the client itself.

    ``hops`` are in the order of the field, the client's first. A trusted hop whose
    entry is no address (``unknown``, an obfuscated name) ends the search there.
    """
    if not trusted.trusts(peer):
        return None
    client: Hop | None = None
    for hop in reversed(hops):
        if _parse_address(hop.address) is None:
            break
        client = hop
        if not trusted.trusts(hop.address):
            break
    return client


def parse_x_forwarded_for(field: str, *, scheme: str = "", host: str = "") -> list[Hop]:
    """Parse ``X-Forwarded-For``, with the single-valued fields beside it."""
    entries = field.split(",")[-MAX_HOPS:]
    return [Hop(_without_port(entry.strip()), scheme, host) for entry in entries]


def parse_forwarded(field: str) -> list[Hop]:
    """Parse ``Forwarded``. A malformed field has no hops."""
    hops: list[Hop] = []
    pairs: dict[str, str] = {}
    position = 0
    while position < len(field):
        match = _PAIR.match(field, position)
        if match is None:
            return []
        name, quoted, plain, separator = match.groups()
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        pairs[name.lower()] = value
        position = match.end()
        if separator != ";":
            hops.append(_hop_of(pairs))
            pairs = {}
    if pairs:
        hops.append(_hop_of(pairs))
    return hops[-MAX_HOPS:]


def _hop_of(pairs: dict[str, str]) -> Hop:
    return Hop(
        _without_port(pairs.get("for", "")),
        pairs.get("proto", ""),
        pairs.get("host", ""),
    )


def _without_port(text: str) -> str:
    if text.startswith("["):
        address, bracket, port = text[1:].partition("]")
        if bracket and (not port or (port[0] == ":" and _PORT.fullmatch(port[1:]))):
            return address
        return text
    address, colon, port = text.partition(":")
    if colon and ":" not in port and _PORT.fullmatch(port):
        return address
    return text

"""The listening sockets of a server, from the option lines that ask for them.

The master opens them, in the order of the lines, and hands them to template processes
(`to_wire`, `from_wire`) and, at a reload, to the next generation: what is open already
stays open. So this module knows neither gevent nor the application.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from geuwsgi.errors import ConfigError, ConfigErrors, StartupError
from geuwsgi.net.address import (
    ANY_IPV4,
    AbstractAddress,
    Address,
    DescriptorAddress,
    SharedAddress,
    TcpAddress,
    UnixAddress,
    format_host_port,
    parse_address,
    split_tls,
)
from geuwsgi.net.binding import (
    Bound,
    SocketOptions,
    adopt,
    bind_datagrams,
    listen_abstract,
    listen_tcp,
    listen_unix,
    set_mode_and_owner,
)
from geuwsgi.net.inherited import InheritedSocket, bound_address
from geuwsgi.net.listener import DATAGRAMS, Listener, dropped, from_wire, to_wire

__all__ = [
    "Listener",
    "ListenerSpec",
    "SocketOptions",
    "Spec",
    "dropped",
    "from_wire",
    "open_listeners",
    "protocol_of",
    "to_wire",
]

# The port applications are told when there is none (uWSGI: the same).
UNIX_SERVER_PORT = "80"


class ListenerSpec(Protocol):
    """One line of the configuration that asks for a listener."""

    @property
    def kind(self) -> str:
        """The option: ``http``, ``http-socket``, ``socket``, ``shared-socket``, …"""

    @property
    def address(self) -> str:
        """The value of the option."""

    @property
    def origin(self) -> str:
        """Where it stands: ``app.ini:3``."""


@dataclass(frozen=True, slots=True)
class Spec:
    """The plain ListenerSpec."""

    kind: str
    address: str
    origin: str = ""


def protocol_of(kind: str, default: str) -> tuple[str, bool]:
    """Return what is spoken on a listener of that kind, and whether over TLS.

    ``default`` is the value of the option ``protocol``, for plain ``socket`` lines.
    Raises ConfigError for a protocol that is unknown.
    """
    if kind == "socket":
        kind = f"{default.lower()}-socket"
        if kind not in _KINDS:
            known = ", ".join(sorted(name[:-7] for name in _KINDS if "-socket" in name))
            raise ConfigError(f"unknown protocol {default!r} (known: {known})")
    try:
        return _KINDS[kind]
    except KeyError:
        raise ConfigError(f"unknown kind of socket {kind!r}") from None


_KINDS: Mapping[str, tuple[str, bool]] = {
    "http": ("http", False),
    "http-socket": ("http", False),
    "http11-socket": ("http", False),
    "http-to-https": ("http-to-https", False),
    "https": ("http", True),
    "https2": ("http", True),
    "https-socket": ("http", True),
    "uwsgi-socket": ("uwsgi", False),
    "suwsgi-socket": ("uwsgi", True),
    "puwsgi-socket": ("puwsgi", False),
    "fastcgi-socket": ("fastcgi", False),
    "fastcgi-nph-socket": ("fastcgi-nph", False),
    "scgi-socket": ("scgi", False),
    "scgi-nph-socket": ("scgi-nph", False),
    "raw-socket": ("raw", False),
    # Not for workers, but opened, passed and kept over reloads like the others.
    "stats": ("stats", False),
    # For router processes.
    "fastrouter": ("fastrouter", False),
    "rawrouter": ("tcp", False),
    "sslrouter": ("tcp", True),
    "sslrouter2": ("tcp", True),
    "http-stats": ("router-stats", False),
    "fastrouter-stats": ("router-stats", False),
    "rawrouter-stats": ("router-stats", False),
    "sslrouter-stats": ("router-stats", False),
    "http-subscription-server": (DATAGRAMS, False),
    "fastrouter-subscription-server": (DATAGRAMS, False),
    "rawrouter-subscription-server": (DATAGRAMS, False),
    "sslrouter-subscription-server": (DATAGRAMS, False),
}


# They differ in TCP_DEFER_ACCEPT, which is off for both.
_SHARED_KINDS = frozenset({"shared-socket", "undeferred-shared-socket"})


def open_listeners(
    specs: Iterable[ListenerSpec],
    options: SocketOptions | None = None,
    *,
    protocol: str = "uwsgi",
    abstract: bool = False,
    existing: Sequence[Listener] = (),
    inherited: Sequence[InheritedSocket] = (),
) -> list[Listener]:
    """Open what ``specs`` ask for and return the listeners in their order.

    A spec takes, in this order: a listener of ``existing`` on the same address (a
    reload), an inherited socket that is bound to its address or passed under its name,
    a new socket. Inherited sockets nobody asked for come last: the name they were
    passed under may be a kind (``http``), else they speak ``protocol``.

    Raises ConfigErrors if addresses are malformed (before anything is opened) or
    StartupError if one cannot be opened; what had been opened is closed then, and
    ``existing`` is as before.
    """
    wanted = _parse(specs, protocol, abstract)
    opening = _Opening(options or SocketOptions(), wanted, existing)
    try:
        opening.adopt_all(inherited)
        listeners = [*opening.open_all(), *opening.rest(protocol)]
    except BaseException:
        opening.abandon()
        raise
    return listeners


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A spec after parsing."""

    kind: str
    protocol: str
    text: str
    address: Address
    tls: str
    origin: str

    @property
    def is_shared(self) -> bool:
        return self.kind in _SHARED_KINDS


def _parse(
    specs: Iterable[ListenerSpec], protocol: str, abstract: bool
) -> list[_Wanted]:
    wanted: list[_Wanted] = []
    errors: list[ConfigError] = []
    seen: dict[tuple[bool, Address], ListenerSpec] = {}
    for spec in specs:
        try:
            one = _parse_one(spec, protocol, abstract)
            place = (one.protocol == DATAGRAMS, one.address)
            taken = seen.get(place)
            if taken is not None:
                there = taken.origin or taken.kind
                raise ConfigError(f"{one.text!r} is used already ({there})")
        except ConfigError as exc:
            errors.append(ConfigError(f"{spec.kind}: {exc.message}", spec.origin))
            continue
        wanted.append(one)
        port_is_chosen = isinstance(one.address, TcpAddress) and one.address.port == 0
        if not (port_is_chosen or isinstance(one.address, SharedAddress)):
            seen[place] = spec
    if errors:
        raise ConfigErrors(errors)
    return wanted


def _parse_one(spec: ListenerSpec, protocol: str, abstract: bool) -> _Wanted:
    text = spec.address.strip()
    certificate = ""
    spoken = ""
    if spec.kind not in _SHARED_KINDS:
        spoken, with_tls = protocol_of(spec.kind, protocol)
        if with_tls:
            text, certificate = split_tls(text)
            if not certificate:
                raise ConfigError(
                    f"{spec.address!r} names no certificate (address,certificate,key)"
                )
        elif spoken == "http-to-https":
            text, _ = split_tls(text)  # the rest is where it redirects to
    address = parse_address(text.removeprefix("addr="), abstract=abstract)
    return _Wanted(spec.kind, spoken, text, address, certificate, spec.origin)


class _Opening:
    """Opens what is wanted, once; `abandon` undoes it."""

    def __init__(
        self,
        options: SocketOptions,
        wanted: Sequence[_Wanted],
        existing: Sequence[Listener],
    ) -> None:
        self._options = options
        self._wanted = [one for one in wanted if not one.is_shared]
        self._shared = [one for one in wanted if one.is_shared]
        self._existing = list(existing)
        self._inherited: list[tuple[InheritedSocket, Bound]] = []
        self._bound: list[Bound] = []
        self._mapped: dict[int, Listener] = {}

    def adopt_all(self, inherited: Sequence[InheritedSocket]) -> None:
        for passed in inherited:
            self._inherited.append((passed, adopt(passed.fd, self._options)))

    def open_all(self) -> list[Listener]:
        return [self._open(one) for one in self._wanted]

    def rest(self, protocol: str) -> list[Listener]:
        """The inherited sockets that no spec took."""
        listeners = []
        for passed, bound in self._inherited:
            kind = passed.name if passed.name in _KINDS else "socket"
            spoken, with_tls = protocol_of(kind, protocol)
            if with_tls:
                raise StartupError(
                    f"descriptor {passed.fd} was passed as {kind!r}, but no option"
                    " names its certificate"
                )
            address = bound_address(bound.socket)
            one = _Wanted(kind, spoken, _shown(address), address, "", "LISTEN_FDS")
            listeners.append(self._listener(one, bound, inherited=True))
        return listeners

    def abandon(self) -> None:
        for bound in self._bound:
            bound.close()

    def _open(self, one: _Wanted) -> Listener:
        try:
            if isinstance(one.address, SharedAddress):
                return self._map(one, one.address.index)
            return (
                self._reuse(one)
                or self._take_inherited(one)
                or self._listener(one, self._bind(one))
            )
        except (StartupError, ConfigError) as exc:
            where = f"{one.origin}: " if one.origin else ""
            raise StartupError(f"{where}{one.kind}: {exc}") from exc

    def _map(self, one: _Wanted, index: int) -> Listener:
        if index not in self._mapped:
            if index >= len(self._shared):
                raise ConfigError(
                    f"there is no shared socket {index}"
                    f" ({len(self._shared)} shared-socket given)"
                )
            self._mapped[index] = self._open(self._shared[index])
        listener = self._mapped[index]
        return replace(
            listener,
            kind=one.kind,
            protocol=one.protocol,
            tls=one.tls,
            origin=one.origin,
            shared=index,
        )

    def _reuse(self, one: _Wanted) -> Listener | None:
        for listener in self._existing:
            if listener.address == one.address and listener.takes_datagrams == (
                one.protocol == DATAGRAMS
            ):
                break
        else:
            return None
        if listener.path and not os.path.exists(listener.path):
            return None  # somebody removed the file: nobody can connect any more
        self._existing.remove(listener)
        self._refresh(listener)
        return replace(
            listener,
            kind=one.kind,
            protocol=one.protocol,
            tls=one.tls,
            origin=one.origin,
            shared=None,
        )

    def _refresh(self, listener: Listener) -> None:
        try:
            if not listener.takes_datagrams:
                listener.socket.listen(self._options.backlog)
            if listener.path:
                set_mode_and_owner(listener.path, self._options)
        except OSError as exc:
            raise StartupError(
                f"cannot use {listener.name} again: {(exc.strerror or str(exc)).lower()}"
            ) from exc

    def _take_inherited(self, one: _Wanted) -> Listener | None:
        if one.protocol == DATAGRAMS:
            return None
        for entry in self._inherited:
            passed, bound = entry
            if passed.name in {one.text, one.kind} or _is_at(
                bound.socket, one.address, passed.fd
            ):
                self._inherited.remove(entry)
                return self._listener(one, bound, inherited=True)
        return None

    def _bind(self, one: _Wanted) -> Bound:
        address = one.address
        if one.protocol == DATAGRAMS:
            if not isinstance(address, (TcpAddress, UnixAddress, AbstractAddress)):
                raise ConfigError(f"{one.text!r} cannot receive datagrams")
            bound = bind_datagrams(address, self._options)
        elif isinstance(address, TcpAddress):
            bound = listen_tcp(
                address, self._options, only_ipv6=self._has_ipv4_twin(address)
            )
        elif isinstance(address, UnixAddress):
            bound = listen_unix(address, self._options)
        elif isinstance(address, AbstractAddress):
            bound = listen_abstract(address, self._options)
        elif isinstance(address, DescriptorAddress):
            return adopt(address.fd, self._options)
        else:
            raise ConfigError("a shared-socket cannot be another shared socket")
        bound.socket.set_inheritable(True)
        self._bound.append(bound)
        return bound

    def _has_ipv4_twin(self, address: TcpAddress) -> bool:
        """Whether ``:80`` stands beside ``[::]:80``, which would take both."""
        twin = TcpAddress(ANY_IPV4, address.port)
        return any(one.address == twin for one in (*self._wanted, *self._shared))

    def _listener(
        self, one: _Wanted, bound: Bound, *, inherited: bool = False
    ) -> Listener:
        inherited = inherited or isinstance(one.address, DescriptorAddress)
        real = bound_address(bound.socket)
        name = one.text
        port = UNIX_SERVER_PORT
        if isinstance(real, TcpAddress):
            port = str(real.port)
            if isinstance(one.address, TcpAddress) and (
                one.address.port == 0 or one.address.is_pattern
            ):
                host = real.host if one.address.is_pattern else one.address.host
                name = format_host_port(host, real.port)
        if isinstance(one.address, DescriptorAddress):
            name = _shown(real)
        return Listener(
            kind=one.kind,
            protocol=one.protocol,
            socket=bound.socket,
            name=name,
            server_port=port,
            address=one.address,
            tls=one.tls,
            path=bound.path,
            inode=bound.inode,
            inherited=inherited,
            origin=one.origin,
        )


def _shown(address: Address) -> str:
    if isinstance(address, TcpAddress):
        return format_host_port(address.host, address.port)
    if isinstance(address, UnixAddress):
        return address.path
    if isinstance(address, AbstractAddress):
        return f"@{address.name}"
    return f"fd://{address.fd}" if isinstance(address, DescriptorAddress) else ""


def _is_at(bound: socket.socket, address: Address, fd: int) -> bool:
    """Whether an inherited socket is the one that ``address`` asks for."""
    real = bound_address(bound)
    if isinstance(address, DescriptorAddress):
        return address.fd == fd
    if isinstance(address, UnixAddress) and isinstance(real, UnixAddress):
        return os.path.abspath(address.path) == os.path.abspath(real.path)
    if isinstance(address, TcpAddress) and isinstance(real, TcpAddress):
        if address.port != real.port or not address.port:
            return False
        return real.host in {address.host, *_numbers_of(address.host)}
    return address == real


def _numbers_of(host: str) -> set[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {str(entry[4][0]) for entry in found}

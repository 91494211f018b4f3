"""The announcements that a router hears, and the table they make.

Datagrams come in from a socket that the master opened. Each is checked, then applied
to the table and told to siblings and successors through a note (`Notes`): so a router
that was killed, or one of a reloaded generation, knows what its forerunner knew.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from geuwsgi.errors import ConfigError, RemoteProtocolError
from geuwsgi.net.address import (
    AbstractAddress,
    TcpAddress,
    UnixAddress,
    format_host_port,
    parse_address,
)
from geuwsgi.protocol.subscription import (
    MAX_PACKET,
    Announcement,
    decode_announcement,
    encode_announcement,
)
from geuwsgi.routers.nodes import ALGORITHMS, Node, Table
from geuwsgi.routers.signatures import BadSignature, SignatureCheck

#: Datagrams taken a turn of the loop, so that a flood of them cannot stop it.
AT_ONCE = 64

#: Nodes of all keys together: more are refused, an attacker's memory is not ours.
MOST_NODES = 16384

#: Nodes of one key. All of them are put in order for each request.
MOST_NODES_OF_A_KEY = 1024

#: Addresses of one key whose last signed announcement is remembered.
MOST_TIMES_OF_A_KEY = 4096

#: Tables of more nodes are kept once a second instead of at each change.
_LARGE = 512

#: Seconds between two complaints of the same kind.
_COMPLAIN_EVERY_S = 1.0

_CREDENTIALS = struct.Struct("3i")
_SO_PASSCRED = getattr(socket, "SO_PASSCRED", 0)


class Note(Protocol):
    """Where the table is kept for others; see `geuwsgi.shared.notebooks`."""

    def write(self, text: bytes, /) -> bool: ...
    def read(self) -> bytes: ...


@dataclass(frozen=True)
class Rules:
    """Who may announce what. ``credential_directories`` hold a file for each key,
    whose owner may announce it over a Unix socket."""

    check: SignatureCheck | None = None
    unsigned_uids: frozenset[int] = frozenset()
    credential_directories: tuple[str, ...] = ()
    vassal_required: bool = False


class Credentials:
    """Who sent a datagram on a Unix socket."""

    __slots__ = ("gid", "pid", "uid")

    def __init__(self, pid: int, uid: int, gid: int) -> None:
        self.pid = pid
        self.uid = uid
        self.gid = gid


class Subscriptions:
    """See the module's text. ``clock`` is monotonic.

    ``forward`` gets each announcement that was accepted (http-resubscribe).
    """

    def __init__(
        self,
        table: Table,
        rules: Rules,
        *,
        clock: Callable[[], float],
        report: Callable[[str], None],
        name: str = "",
        forward: Callable[[Announcement], None] | None = None,
    ) -> None:
        self.table = table
        self._rules = rules
        self._clock = clock
        self._report = report
        self._name = name
        self._forward = forward
        self._note: Note | None = None
        #: Key → address → time of the sender's clock in its last announcement.
        self._times: dict[str, dict[str, int]] = {}
        self._complained_at = -_COMPLAIN_EVERY_S
        self._unsaid = 0
        self._is_loading = False
        self._is_unsaved = False
        self._has_changed = False

    # -- what comes in -----------------------------------------------------------------

    def take(
        self,
        packet: bytes,
        *,
        source: str = "",
        credentials: Credentials | None = None,
    ) -> None:
        """Apply one datagram; never raises. ``source`` is the sender's host."""
        try:
            announcement = decode_announcement(packet)
            self._allow(announcement, credentials)
            self._apply(announcement, source, credentials)
        except (RemoteProtocolError, ConfigError, BadSignature) as exc:
            self._complain(f"announcement from {source or 'a unix socket'}: {exc}")

    def _allow(
        self, announcement: Announcement, credentials: Credentials | None
    ) -> None:
        rules = self._rules
        if rules.vassal_required and not announcement.vassal:
            raise BadSignature(f"{announcement.key!r} names no vassal")
        if rules.credential_directories and not (
            credentials is not None and self._owns(credentials, announcement.key)
        ):
            raise BadSignature(f"the sender may not announce {announcement.key!r}")
        if rules.check is None:
            return
        if credentials is not None and credentials.uid in rules.unsigned_uids:
            return
        times = self._times.get(announcement.key, {})
        # Heard before, it may be somebody else who says it again: perhaps as a
        # goodbye, for what makes it one is not signed.
        if announcement.unix <= times.get(announcement.address, 0):
            raise BadSignature(f"{announcement.key!r} was heard already")
        rules.check.check(announcement, time.time())
        self._remember(announcement.key, announcement.address, announcement.unix)

    def _remember(self, key: str, address: str, unix: int) -> None:
        """Keep when ``address`` last said that it serves ``key``.

        Nothing is forgotten that could be said again: who holds one key must not
        make room for old announcements of others. Raises BadSignature.
        """
        times = self._times.setdefault(key, {})
        if address not in times and len(times) >= MOST_TIMES_OF_A_KEY:
            now = time.time()
            check = self._rules.check
            for known, said in list(times.items()):
                if check is None or check.is_outdated(said, now):
                    del times[known]
            if len(times) >= MOST_TIMES_OF_A_KEY:
                raise BadSignature(f"{key!r} has had too many addresses")
        times[address] = unix

    def _owns(self, credentials: Credentials, key: str) -> bool:
        if "/" in key or key in (".", ".."):
            return False
        for directory in self._rules.credential_directories:
            try:
                status = os.stat(os.path.join(directory, key))
            except (OSError, ValueError):
                continue
            if (status.st_uid, status.st_gid) == (credentials.uid, credentials.gid):
                return True
        return False

    def _apply(
        self, announcement: Announcement, source: str, credentials: Credentials | None
    ) -> None:
        address, name = _place(announcement.address, source)
        key = announcement.key
        if announcement.leaves:
            if self.table.remove(key, name):
                self._say(f"{key} => removed node: {name}")
                self._pass_on(announcement)
            return
        pool = self.table.pools.get(key)
        node = pool.find(name) if pool is not None else None
        is_new = node is None
        if node is None:
            is_full = pool is not None and len(pool.nodes) >= MOST_NODES_OF_A_KEY
            if is_full or self.table.count >= MOST_NODES:
                raise BadSignature(f"there is no room for {name} of {key!r}")
            node = Node(name, address)
        node.modifier1 = announcement.modifier1
        node.modifier2 = announcement.modifier2
        node.weight = max(announcement.weight, 1)
        node.cores = announcement.cores
        node.load = announcement.load
        node.backup = announcement.backup
        node.speaks_http = {"http": True, "uwsgi": False}.get(announcement.protocol)
        certificate = (
            announcement.sni_certificate,
            announcement.sni_key,
            announcement.sni_ca,
        )
        is_new_certificate = node.certificate != certificate
        node.certificate = certificate
        node.told_at = self._clock()
        node.told_unix = int(time.time())
        node.said_as, node.said_unix = announcement.address, announcement.unix
        node.dead_until = 0.0  # it says that it lives
        self._is_unsaved = True
        if credentials is not None:
            node.uid, node.gid, node.pid = (
                credentials.uid,
                credentials.gid,
                credentials.pid,
            )
        if is_new:
            algorithm = announcement.algorithm
            if pool is None:
                self._say(f"new pool: {key}")
            self.table.add(
                key, node, algorithm=algorithm if algorithm in ALGORITHMS else ""
            )
            self._say(f"{key} => new node: {name}")
            if announcement.notify:
                self._acknowledge(
                    announcement.notify,
                    f"[subscription ack] {key} => new node: {name}",
                )
        elif is_new_certificate:
            self.table.on_change()
        self._pass_on(announcement)

    def _pass_on(self, announcement: Announcement) -> None:
        if self._forward is not None and not self._is_loading:
            self._forward(announcement)

    def _acknowledge(self, target: str, text: str) -> None:
        # As uWSGI: a datagram to a Unix socket, which may be gone already.
        if not target.startswith("/") or self._is_loading:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.setblocking(False)
            sender.sendto(text.encode("latin-1"), target)

    # -- time --------------------------------------------------------------------------

    def tick(self) -> None:
        """To be called about once a second."""
        for key, node in self.table.forget_silent(self._clock()):
            self._say(f"{key} => {node.name} is silent, removed")
        if self._is_unsaved:
            self.save()

    # -- the note ----------------------------------------------------------------------

    def keep_in(self, note: Note) -> None:
        """Read the table from ``note``, and write it there from now on."""
        self.load(note.read())
        self._note = note

    def changed(self) -> None:
        """A node came or went: what is kept is not what is."""
        self._is_unsaved = self._has_changed = True

    def save_changes(self) -> None:
        """Write the note if nodes came or went, unless there are too many."""
        if self._has_changed and self.table.count <= _LARGE:
            self.save()

    def save(self) -> None:
        """Write the note."""
        if self._note is None or self._is_loading:
            return
        self._is_unsaved = self._has_changed = False
        entries = [
            [
                pool.key,
                pool.algorithm,
                node.certificate,
                *(getattr(node, field) for field in _KEPT),
            ]
            for pool in self.table.pools.values()
            for node in pool.nodes
        ]
        if not self._note.write(json.dumps(entries).encode()):
            self._complain("the table is too large to be kept over a reload")

    def load(self, text: bytes) -> None:
        """Make the table what a note says. Nodes that stay keep their counters."""
        if not text:
            return
        try:
            entries = json.loads(text)
        except ValueError:
            return
        self._is_loading = True
        try:
            there = set()
            for key, algorithm, certificate, *values in entries:
                fields = dict(zip(_KEPT, values, strict=True))
                name = str(fields.pop("name"))
                there.add((key, name))
                pool = self.table.pools.get(key)
                node = pool.find(name) if pool is not None else None
                is_new = node is None
                node = node or Node(name, parse_address(name))
                for field, value in fields.items():
                    setattr(node, field, value)
                node.certificate = tuple(certificate)
                if is_new:
                    self.table.add(key, node, algorithm=algorithm)
                if node.said_unix:
                    self._times.setdefault(key, {})[node.said_as] = node.said_unix
            for pool in list(self.table.pools.values()):
                for node in list(pool.nodes):
                    if (pool.key, node.name) not in there:
                        self.table.remove(pool.key, node.name)
        finally:
            self._is_loading = False
        self.table.on_change()

    # -- the log -----------------------------------------------------------------------

    def _say(self, line: str) -> None:
        self._report(f"[subscriptions of {self._name}] {line}")

    def _complain(self, line: str) -> None:
        now = self._clock()
        if now - self._complained_at < _COMPLAIN_EVERY_S:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} like it)" if self._unsaid else ""
        self._complained_at = now
        self._unsaid = 0
        self._say(f"{line}{more}")


_KEPT = (
    *("name", "modifier1", "modifier2", "weight", "cores", "load", "backup"),
    # The monotonic clock is one for all processes.
    *("speaks_http", "told_at", "told_unix", "said_as", "said_unix"),
    *("uid", "gid", "pid"),
)


def _place(
    text: str, source: str
) -> tuple[TcpAddress | UnixAddress | AbstractAddress, str]:
    """Where an announced address is, and its name.

    Who listens on every interface does not know its own address: the datagram's is
    meant then.
    """
    address = parse_address(text)
    if isinstance(address, TcpAddress):
        if not address.port or address.is_pattern:
            raise RemoteProtocolError(f"nobody can be reached at {text!r}")
        if address.host in ("0.0.0.0", "::"):
            address = TcpAddress(source or "127.0.0.1", address.port)
        return address, format_host_port(address.host, address.port)
    if isinstance(address, (UnixAddress, AbstractAddress)):
        return address, text
    raise RemoteProtocolError(f"nobody can be reached at {text!r}")


class Ears:
    """Hears the datagrams of one socket, in the hub.

    ``with_credentials`` asks the kernel who sends (Unix sockets).
    """

    def __init__(
        self,
        sock: socket.socket,
        hub: Any,
        subscriptions: Subscriptions,
        *,
        with_credentials: bool = False,
    ) -> None:
        self._socket = sock
        self._subscriptions = subscriptions
        self._is_unix = sock.family == socket.AF_UNIX
        self._with_credentials = with_credentials and self._is_unix and _SO_PASSCRED
        if self._with_credentials:
            sock.setsockopt(socket.SOL_SOCKET, _SO_PASSCRED, 1)
        self._watcher = hub.loop.io(sock.fileno(), 1)

    def start(self) -> None:
        self._watcher.start(self._hear)

    def stop(self) -> None:
        self._watcher.stop()

    def _hear(self) -> None:
        for _ in range(AT_ONCE):
            try:
                packet, ancillary, _flags, source = self._socket.recvmsg(
                    MAX_PACKET * 2, 256
                )
            except OSError:
                break
            host = str(source[0]) if source and not self._is_unix else ""
            self._subscriptions.take(
                packet, source=host, credentials=_credentials_of(ancillary)
            )
        self._subscriptions.save_changes()


def _credentials_of(ancillary: Iterable[tuple[int, int, bytes]]) -> Credentials | None:
    for level, kind, content in ancillary:
        if (
            level == socket.SOL_SOCKET
            and kind == getattr(socket, "SCM_CREDENTIALS", -1)
            and len(content) >= _CREDENTIALS.size
        ):
            return Credentials(*_CREDENTIALS.unpack(content[: _CREDENTIALS.size]))
    return None


class Forwarder:
    """Tells other routers what was heard, with this router's address."""

    def __init__(self, targets: Sequence[str], address: str, *, bind: str = "") -> None:
        """Raises ConfigError for a target that is none."""
        self._targets = [datagram_target(text) for text in targets]
        self._address = address
        self._bind = datagram_target(bind)[1] if bind else None

    def __call__(self, announcement: Announcement) -> None:
        packet = encode_announcement(
            Announcement(
                announcement.key,
                self._address,
                announcement.leaves,
                announcement.modifier1,
                announcement.modifier2,
                announcement.cores,
                announcement.load,
                announcement.weight,
            )
        )
        for family, target in self._targets:
            send_datagram(family, target, packet, bind=self._bind)


def datagram_target(text: str) -> tuple[int, Any]:
    """Family and address of a socket for datagrams. Raises ConfigError.

    Names are looked up here, once.
    """
    address = parse_address(text)
    if isinstance(address, TcpAddress):
        host = address.host
        if host in ("0.0.0.0", "::"):
            host = "127.0.0.1"
        try:
            found = socket.getaddrinfo(host, address.port, type=socket.SOCK_DGRAM)
        except OSError as exc:
            raise ConfigError(f"cannot resolve {host!r}: {exc.strerror}") from exc
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        return found[0][0], found[0][4]
    if isinstance(address, UnixAddress):
        return socket.AF_UNIX, address.path
    if isinstance(address, AbstractAddress):
        return socket.AF_UNIX, "\0" + address.name
    raise ConfigError(f"{text!r} is not the address of a subscription server")


def send_datagram(family: int, target: Any, packet: bytes, *, bind: Any = None) -> bool:
    """Send one datagram without waiting; whether the system took it."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            if bind is not None:
                sender.bind(bind)
            sender.sendto(packet, target)
    except OSError:
        return False
    return True

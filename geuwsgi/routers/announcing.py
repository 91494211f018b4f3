"""How an instance announces itself to routers: the targets, from options. No gevent.

``subscribe-to = server:key[,modifier1[,digest:key file]]``, where a key of ``@file``
stands for the keys in a file, one a line; ``subscribe2 = server=…,key=…,…`` says more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geuwsgi.errors import ConfigError
from geuwsgi.options import REGISTRY
from geuwsgi.protocol.subscription import (
    Announcement,
    encode_announcement,
    encode_block,
)
from geuwsgi.routers.nodes import find_algorithm
from geuwsgi.routers.signatures import make_signer
from geuwsgi.routers.subscriptions import datagram_target
from geuwsgi.shared.keyval import parse_keyval

if TYPE_CHECKING:
    from geuwsgi.config import Configuration
    from geuwsgi.net.listener import Listener
    from geuwsgi.options import Settings

#: Protocols of listeners that a router can speak, and what it is told.
_SPOKEN = {"uwsgi": "", "http": "http"}


@dataclass(eq=False)
class Target:
    """One key announced to one server. ``check`` is a file without which it is not."""

    text: str
    family: int
    server: Any
    announcement: Announcement
    sign: Callable[[bytes], bytes] | None = None
    check: str = ""
    told_unix: int = field(default=0, repr=False)

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it the same for a router: server, key and address."""
        return (
            self.family,
            self.server,
            self.announcement.key,
            self.announcement.address,
        )

    def packet(self, *, leaves: bool, load: int, cores: int, unix: int) -> bytes:
        """The datagram that announces it, or takes that back."""
        announcement = self.announcement
        announcement.leaves = leaves
        announcement.load = load
        announcement.cores = cores
        if self.sign is not None:
            # No two of the same time: the second would look like a copy of the first.
            self.told_unix = announcement.unix = max(unix, self.told_unix + 1)
            announcement.signature = self.sign(encode_block(announcement))
        return encode_announcement(announcement)


def targets_of(
    configuration: Configuration, listeners: Sequence[Listener]
) -> list[Target]:
    """What the instance announces. ``listeners`` are those that workers serve.

    Raises ConfigError with the place of the line.
    """
    targets: list[Target] = []
    for name, value, origin in configuration.assignments:
        known = REGISTRY.find(name)  # under whatever name it was written
        read = _READERS.get(known.name) if known is not None else None
        if read is None or not value:
            continue
        try:
            targets += read(value, configuration.settings, listeners)
        except ConfigError as exc:
            raise ConfigError(f"{name}: {exc.message}", origin) from exc
    return targets


def _read_short(
    value: str, settings: Settings, listeners: Sequence[Listener]
) -> list[Target]:
    server, key = _split_server(value)
    key, *rest = key.split(",")
    modifier1 = rest[0] if rest and rest[0] else ""
    sign = rest[1] if len(rest) > 1 else ""
    fields = {"server": server, "modifier1": modifier1, "sign": sign}
    if not key.startswith("@"):
        return [_target(value, {**fields, "key": key}, settings, listeners)]
    found = []
    for line in _lines(key[1:]):
        name, _, modifier = line.partition(",")
        more = {"key": name, "modifier1": modifier or modifier1}
        found.append(_target(value, {**fields, **more}, settings, listeners))
    return found


def _split_server(value: str) -> tuple[str, str]:
    """Split ``host:port:key``, ``[v6]:port:key`` or ``/path:key``."""
    if value.startswith(("/", "@", "./", "../")):
        server, colon, key = value.partition(":")
    else:
        bracket = value.find("]") if value.startswith("[") else 0
        first = value.find(":", max(bracket, 0))
        second = value.find(":", first + 1)
        server, colon, key = (
            (value[:second], ":", value[second + 1 :])
            if first >= 0 and second > 0
            else (value, "", "")
        )
    if not colon or not key:
        raise ConfigError(f"it is server:key, not {value!r}")
    return server, key


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read the keys in {path!r}: {reason}") from exc
    return [line for line in lines if line and not line.startswith("#")]


_FIELDS = frozenset(
    {
        *("server", "key", "socket", "addr", "weight", "modifier1", "modifier2"),
        *("sign", "check", "sni_key", "sni_crt", "sni_ca", "algo", "proto", "backup"),
        *("vassal", "mountpoint", "notify"),
    }
)


def _read_long(
    value: str, settings: Settings, listeners: Sequence[Listener]
) -> list[Target]:
    fields: dict[str, str] = {}
    for name, text in parse_keyval(value):
        if name not in _FIELDS:
            raise ConfigError(
                f"unknown key {name!r} (known: {', '.join(sorted(_FIELDS))})"
            )
        fields[name] = text or ""
    for name in ("server", "key"):
        if not fields.get(name):
            raise ConfigError(f"{value!r} names no {name}")
    if fields["key"].startswith("@"):
        return [
            _target(value, {**fields, "key": key}, settings, listeners)
            for key in _lines(fields["key"][1:])
        ]
    return [_target(value, fields, settings, listeners)]


def _target(
    text: str,
    fields: dict[str, str],
    settings: Settings,
    listeners: Sequence[Listener],
) -> Target:
    subscription = settings.subscription
    family, server = datagram_target(fields["server"])
    address, protocol = _address(fields, listeners)
    weight = subscription.weight
    if subscription.auto_weight:
        weight = max(settings.workers.processes, 1) * _cores(settings)
    modifier1 = subscription.subscribe_with_modifier1
    announcement = Announcement(
        fields["key"],
        address,
        modifier1=_number(fields, "modifier1", 255, modifier1),
        modifier2=_number(fields, "modifier2", 255, 0),
        weight=_number(fields, "weight", 1 << 20, weight),
        backup=_number(fields, "backup", 255, 0),
        protocol=fields.get("proto", protocol),
        vassal=fields.get("vassal", ""),
        mountpoint=fields.get("mountpoint", ""),
        notify=fields.get("notify", subscription.subscription_notify_socket or ""),
        sni_key=fields.get("sni_key", ""),
        sni_certificate=fields.get("sni_crt", ""),
        sni_ca=fields.get("sni_ca", ""),
    )
    if fields.get("algo"):
        announcement.algorithm = find_algorithm(fields["algo"])
    signer = make_signer(fields["sign"]) if fields.get("sign") else None
    return Target(text, family, server, announcement, signer, fields.get("check", ""))


def _cores(settings: Settings) -> int:
    workers = settings.workers
    return workers.gevent or workers.async_ or max(workers.threads, 1)


def _number(fields: dict[str, str], name: str, most: int, default: int) -> int:
    text = fields.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or int(text) > most:
        raise ConfigError(f"malformed {name}: {text!r}")
    return int(text)


def _address(fields: dict[str, str], listeners: Sequence[Listener]) -> tuple[str, str]:
    """The address to announce, and what is spoken there."""
    if fields.get("addr"):
        return fields["addr"], ""
    if "socket" in fields:
        index = _number(fields, "socket", 1 << 16, 0)
        if index >= len(listeners):
            raise ConfigError(f"there is no socket {index} ({len(listeners)} given)")
        return _name(listeners[index]), _SPOKEN.get(listeners[index].protocol, "")
    for protocol in _SPOKEN:
        for listener in listeners:
            if listener.protocol == protocol and not listener.tls:
                return _name(listener), _SPOKEN[protocol]
    raise ConfigError(
        "there is nothing that a router could connect to: name a socket "
        "(socket = 127.0.0.1:3031) or an address (subscribe2 = …,addr=…)"
    )


def _name(listener: Listener) -> str:
    if listener.path:
        return os.path.abspath(listener.path)
    name = listener.name
    if name.startswith(":"):
        return f"0.0.0.0{name}"  # the router puts the sender's address there
    return name


_READERS: dict[str, Callable[[str, Settings, Sequence[Listener]], list[Target]]] = {
    "subscribe-to": _read_short,
    "subscribe2": _read_long,
}

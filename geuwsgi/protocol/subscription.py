"""Announcements of instances to routers: uwsgi packets with modifier1 224.

A packet is a datagram: modifier2 0 announces, 1 takes back. Its block names the key
that the instance serves, its address, and what balancing has to know. ``sign`` is the
last variable and covers every byte of the block before it, ``unix`` (the sender's
clock) included. Whoever can send a datagram can send an announcement, so nothing here
is believed that is not well formed.
"""

from __future__ import annotations

from dataclasses import dataclass

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.uwsgi import (
    HEADER_SIZE,
    decode_header,
    decode_vars,
    encode_packet,
    encode_vars,
)

SUBSCRIPTION = 224

#: uWSGI's limits: keys are compared by one byte of length, addresses fit a Unix name.
MAX_KEY = 255
MAX_ADDRESS = 255
MAX_PACKET = 4096

_MAX_WEIGHT = 1 << 20
_MAX_NUMBER = 1 << 62
_SIGN = b"\x04\x00sign"


@dataclass(slots=True)
class Announcement:
    """What an instance says of itself. ``leaves`` takes an earlier one back.

    ``unix`` is the sender's clock, 0 if it told none. ``signature`` is over
    ``signed``; both are empty where nothing is signed.
    """

    key: str
    address: str
    leaves: bool = False
    modifier1: int = 0
    modifier2: int = 0
    cores: int = 1
    load: int = 0
    weight: int = 1
    unix: int = 0
    protocol: str = ""
    algorithm: str = ""
    backup: int = 0
    inactive: bool = False
    vassal: str = ""
    mountpoint: str = ""
    notify: str = ""
    sni_key: str = ""
    sni_certificate: str = ""
    sni_ca: str = ""
    signature: bytes = b""
    signed: bytes = b""


#: Variable of the packet → field, for texts and for numbers with their largest value.
_TEXTS = {
    "notify": "notify",
    "sni_key": "sni_key",
    "sni_crt": "sni_certificate",
    "sni_ca": "sni_ca",
    "proto": "protocol",
    "algo": "algorithm",
    "vassal": "vassal",
    "mountpoint": "mountpoint",
}
_NUMBERS = {
    "modifier1": ("modifier1", 255),
    "modifier2": ("modifier2", 255),
    "cores": ("cores", _MAX_NUMBER),
    "load": ("load", _MAX_NUMBER),
    "weight": ("weight", _MAX_WEIGHT),
    "unix": ("unix", _MAX_NUMBER),
    "backup": ("backup", 255),
    "inactive": ("inactive", 1),
}


def decode_announcement(packet: bytes) -> Announcement:
    """Read one datagram. Raises RemoteProtocolError if it is not an announcement."""
    if len(packet) < HEADER_SIZE:
        raise RemoteProtocolError(f"a packet of {len(packet)} bytes")
    modifier1, size, modifier2 = decode_header(packet)
    if modifier1 != SUBSCRIPTION:
        raise RemoteProtocolError(f"a packet with modifier1 {modifier1}")
    if modifier2 > 1:
        raise RemoteProtocolError(f"an announcement with modifier2 {modifier2}")
    block = packet[HEADER_SIZE:]
    if size != len(block):
        raise RemoteProtocolError(f"a block of {len(block)} bytes instead of {size}")
    variables: dict[str, object] = {}
    decode_vars(block, variables)
    texts = {name: str(value) for name, value in variables.items()}
    announcement = Announcement(
        _required(texts, "key", MAX_KEY),
        _required(texts, "address", MAX_ADDRESS),
        bool(modifier2),
    )
    for name, field in _TEXTS.items():
        if name in texts:
            setattr(announcement, field, _printable(name, texts[name]))
    for name, (field, most) in _NUMBERS.items():
        if name in texts:
            number = _number(name, texts[name], most)
            setattr(announcement, field, bool(number) if name == "inactive" else number)
    if "sign" in texts:
        announcement.signature = texts["sign"].encode("latin-1")
        announcement.signed = _signed_part(block, announcement.signature)
    return announcement


def _required(texts: dict[str, str], name: str, most: int) -> str:
    text = texts.get(name, "")
    if not text:
        raise RemoteProtocolError(f"an announcement without {name}")
    if len(text) > most:
        raise RemoteProtocolError(f"the {name} has {len(text)} characters")
    return _printable(name, text)


def _printable(name: str, text: str) -> str:
    # It goes into logs and statistics, and into names of files.
    if any(character < " " or character == "\x7f" for character in text):
        raise RemoteProtocolError(f"a control character in {name}: {text!r}")
    return text


def _number(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > most:
        raise RemoteProtocolError(f"malformed {name}: {text[:40]!r}")
    return int(text)


def _signed_part(block: bytes, signature: bytes) -> bytes:
    tail = _SIGN + len(signature).to_bytes(2, "little") + signature
    if not block.endswith(tail):
        raise RemoteProtocolError("variables after the signature")
    return block[: -len(tail)]


def encode_block(announcement: Announcement) -> bytes:
    """The block without a signature: what is to be signed."""
    variables = {
        "key": announcement.key,
        "address": announcement.address,
        "modifier1": str(announcement.modifier1),
        "modifier2": str(announcement.modifier2),
        "cores": str(announcement.cores),
        "load": str(announcement.load),
        "weight": str(announcement.weight),
        "backup": str(announcement.backup or ""),
        "inactive": "1" if announcement.inactive else "",
    }
    for name, field in _TEXTS.items():
        variables[name] = getattr(announcement, field)
    if announcement.unix:
        variables["unix"] = str(announcement.unix)
    return encode_vars(
        {
            name.encode(): value.encode("latin-1")
            for name, value in variables.items()
            if value
        }
    )


def encode_announcement(announcement: Announcement) -> bytes:
    """The packet. A signature, if there is one, must be over ``encode_block``."""
    block = encode_block(announcement)
    if announcement.signature:
        signature = announcement.signature
        block += _SIGN + len(signature).to_bytes(2, "little") + signature
    return encode_packet(SUBSCRIPTION, block, int(announcement.leaves))

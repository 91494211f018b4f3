"""The PROXY protocol, versions 1 and 2: who the client of a load balancer is.

The header comes before everything else on a connection, TLS included, and says the
addresses of the connection that the balancer accepted. Pure. Whether the peer may be
believed is not decided here: anyone can write this header.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from geuwsgi.errors import RemoteProtocolError

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
MAX_V1 = 107
# Addresses of Unix sockets are 216 bytes; the rest may be extensions (TLVs).
MAX_V2 = 4096

_V1 = re.compile(
    rb"PROXY (?:UNKNOWN(?: [ -~]*)?|(TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) "
    rb"(0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))\r\n"
)
_LOCAL, _PROXY = 0x20, 0x21
_INET, _INET6 = 1, 2
#: The last families and transports that mean something: Unix, datagrams.
_MOST_FAMILY, _MOST_TRANSPORT = 3, 2


class ProxyHeader(NamedTuple):
    """What a header said. Addresses are empty if it said nothing of them.

    ``length`` is how many bytes it took.
    """

    length: int
    source: str = ""
    source_port: int = 0
    destination: str = ""
    destination_port: int = 0


def may_be_proxy_header(received: bytes) -> bool:
    """Whether the first bytes of a connection can still become a header."""
    beginning = received[: len(SIGNATURE)]
    return SIGNATURE.startswith(beginning) or b"PROXY ".startswith(received[:6])


def encode_proxy_header(
    source: tuple[str, int] | None, destination: tuple[str, int] | None
) -> bytes:
    """The header of version 1 for a connection; for none with addresses, UNKNOWN."""
    if source is None or destination is None:
        return b"PROXY UNKNOWN\r\n"
    family = "TCP6" if ":" in source[0] else "TCP4"
    hosts = f"{source[0].partition('%')[0]} {destination[0].partition('%')[0]}"
    return f"PROXY {family} {hosts} {source[1]} {destination[1]}\r\n".encode("ascii")


def decode_proxy_header(received: bytes) -> ProxyHeader | None:
    """Decode the header at the beginning of ``received``.

    None: more bytes are needed. Raises RemoteProtocolError for what cannot be a
    header; ask ``may_be_proxy_header`` first where the header is optional.
    """
    if received.startswith(SIGNATURE):
        return _decode_v2(received)
    if SIGNATURE.startswith(received):
        return None
    if not b"PROXY ".startswith(received[:6]):
        raise RemoteProtocolError("the connection does not begin with a PROXY header")
    return _decode_v1(received)


def _decode_v1(received: bytes) -> ProxyHeader | None:
    end = received.find(b"\r\n", 0, MAX_V1)
    if end < 0:
        if len(received) >= MAX_V1:
            raise RemoteProtocolError("PROXY line without an end")
        return None
    line = received[: end + 2]
    match = _V1.fullmatch(line)
    if match is None:
        raise RemoteProtocolError(f"malformed PROXY line: {line!r}")
    family, source, destination, source_port, destination_port = match.groups()
    if family is None:
        return ProxyHeader(len(line))
    version = 4 if family == b"TCP4" else 6
    return ProxyHeader(
        len(line),
        _address(source, version, line),
        _port(source_port, line),
        _address(destination, version, line),
        _port(destination_port, line),
    )


def _address(text: bytes, version: int, line: bytes) -> str:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        raise RemoteProtocolError(
            f"malformed address in PROXY line: {line!r}"
        ) from None
    if address.version != version:
        raise RemoteProtocolError(f"PROXY line mixes address families: {line!r}")
    return str(address)


def _port(text: bytes, line: bytes) -> int:
    port = int(text)
    if port > 65535:
        raise RemoteProtocolError(f"malformed port in PROXY line: {line!r}")
    return port


def _decode_v2(received: bytes) -> ProxyHeader | None:
    if len(received) < 16:
        return None
    command, family, transport = received[12], received[13] >> 4, received[13] & 15
    size = received[14] << 8 | received[15]
    if command not in (_LOCAL, _PROXY):
        raise RemoteProtocolError(f"unknown PROXY version or command: {command:#04x}")
    if size > MAX_V2:
        raise RemoteProtocolError(f"PROXY header of {size} bytes")
    if len(received) < 16 + size:
        return None
    if command == _PROXY and (family > _MOST_FAMILY or transport > _MOST_TRANSPORT):
        # PROXY protocol §2.2: "must be rejected as invalid by receivers".
        raise RemoteProtocolError(f"reserved PROXY family: {received[13]:#04x}")
    width = {_INET: 4, _INET6: 16}.get(family)
    if command == _LOCAL or width is None:
        # The balancer's own check, or a client without an address.
        return ProxyHeader(16 + size)
    if size < 2 * width + 4:
        raise RemoteProtocolError("PROXY header is too short for its addresses")
    block = received[16:]
    ports = block[2 * width :]
    return ProxyHeader(
        16 + size,
        str(ipaddress.ip_address(block[:width])),
        ports[0] << 8 | ports[1],
        str(ipaddress.ip_address(block[width : 2 * width])),
        ports[2] << 8 | ports[3],
    )

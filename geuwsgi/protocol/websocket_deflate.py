"""permessage-deflate (RFC 7692): negotiation, compressor, decompressor.

``negotiate`` answers the client's ``Sec-WebSocket-Extensions`` header according to
``DeflateSettings``; the agreement makes the ``Inflater`` and ``Deflater`` of one
connection. What they cost while a connection is idle is the matter of this module:

- With context takeover, each direction keeps its window between messages:
  ``2**bits`` + 7 KiB to decompress, ``2**(bits+2)`` + ``2**(memory_level+9)`` + 6 KiB
  to compress. At 15 bits and level 8 that is 300 KiB a connection.
- Without it, nothing is kept: zlib's memory lives for one message. That is the
  default, as thousands of connections are what this server is for.

Decompression is bounded by the room that is left in the message, so a bomb costs
one message's limit of memory and ends with close code 1009.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.websocket import (
    INVALID_DATA,
    MESSAGE_TOO_BIG,
    WebSocketProtocolError,
)

if TYPE_CHECKING:
    from zlib import _Compress, _Decompress

_TAIL: Final = b"\x00\x00\xff\xff"

# Each final block makes a new zlib state. Honest peers end a message with at most
# one; 500,000 of two bytes in one message would hold the worker for a second.
_FINAL_BLOCKS_A_MESSAGE: Final = 16

_NAME: Final = "permessage-deflate"
_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_EXTENSION: Final = re.compile(rf"[ \t]*({_TOKEN})[ \t]*")
_PARAMETER: Final = re.compile(
    rf';[ \t]*({_TOKEN})[ \t]*(?:=[ \t]*(?:({_TOKEN})|"({_TOKEN})")[ \t]*)?'
)
_WINDOW_BITS: Final = re.compile(r"[89]|1[0-5]")
# zlib cannot compress with a window of 2**8 (it can decompress it).
_LEAST_COMPRESSOR_BITS: Final = 9

Parameters = dict[str, str | None]


@dataclass(frozen=True)
class DeflateSettings:
    """What the server is willing to do; the client's offer can only lower it."""

    window_bits: int = 12
    memory_level: int = 5
    level: int = 6
    context_takeover: bool = False
    threshold: int = 256  # messages shorter than this are sent as they are

    def negotiate(self, header: str) -> DeflateAgreement | None:
        """See the function."""
        return negotiate(header, self)


@dataclass(frozen=True)
class DeflateAgreement:
    """What both sides will do; ``response`` is the header that says so."""

    settings: DeflateSettings
    response: str
    server_bits: int
    client_bits: int
    server_takeover: bool
    client_takeover: bool

    def inflater(self) -> Inflater:
        """Return the decompressor of one connection."""
        return Inflater(self.client_bits, self.client_takeover)

    def deflater(self) -> Deflater:
        """Return the compressor of one connection."""
        return Deflater(self.settings, self.server_bits, self.server_takeover)


def negotiate(header: str, settings: DeflateSettings) -> DeflateAgreement | None:
    """Accept the first offer of ``header`` that can be kept, or return None.

    Raises ``RemoteProtocolError`` if the header is not a list of extensions
    (RFC 6455 §9.1: the handshake fails). Other extensions and offers with
    parameters that RFC 7692 does not know are passed over.
    """
    for name, parameters in parse_extensions(header):
        if name == _NAME and parameters is not None:
            agreement = _accept(parameters, settings)
            if agreement is not None:
                return agreement
    return None


def parse_extensions(header: str) -> list[tuple[str, Parameters | None]]:
    """Return the extensions of a header in their order.

    The parameters are None where one is given twice. Raises
    ``RemoteProtocolError`` if the header is malformed.
    """
    offers: list[tuple[str, Parameters | None]] = []
    for text in header.split(","):
        if not text.strip(" \t"):
            continue  # RFC 9110 §5.6.1: empty list elements are ignored
        match = _EXTENSION.match(text)
        if match is None:
            raise _malformed(header)
        name = match[1]
        parameters: Parameters | None = {}
        end = match.end()
        while end < len(text):
            match = _PARAMETER.match(text, end)
            if match is None:
                raise _malformed(header)
            end = match.end()
            key = match[1].lower()
            if parameters is not None and key not in parameters:
                parameters[key] = match[2] or match[3]
            else:
                parameters = None
        offers.append((name.lower(), parameters))
    return offers


def _malformed(header: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"malformed Sec-WebSocket-Extensions: {header!r}")


def _accept(offer: Parameters, settings: DeflateSettings) -> DeflateAgreement | None:
    server_bits = client_bits = settings.window_bits
    server_takeover = client_takeover = settings.context_takeover
    answers_server_bits = False
    for name, value in offer.items():
        if name == "server_no_context_takeover" and value is None:
            server_takeover = False
        elif name == "client_no_context_takeover" and value is None:
            client_takeover = False
        elif name == "server_max_window_bits" and value is not None:
            if _WINDOW_BITS.fullmatch(value) is None:
                return None
            if int(value) < _LEAST_COMPRESSOR_BITS:
                return None
            server_bits = min(server_bits, int(value))
            answers_server_bits = True
        elif name == "client_max_window_bits":
            if value is not None:
                if _WINDOW_BITS.fullmatch(value) is None:
                    return None
                client_bits = min(client_bits, int(value))
        else:
            return None
    response = _NAME
    if not server_takeover:
        response += "; server_no_context_takeover"
    if not client_takeover:
        response += "; client_no_context_takeover"
    if answers_server_bits:
        response += f"; server_max_window_bits={server_bits}"
    if "client_max_window_bits" in offer:
        response += f"; client_max_window_bits={client_bits}"
    else:
        client_bits = 15  # RFC 7692 §7.1.2.2: it may not be asked for less
    return DeflateAgreement(
        settings, response, server_bits, client_bits, server_takeover, client_takeover
    )


class Inflater:
    """Decompresses the messages of one connection, one after the other."""

    __slots__ = ("_bits", "_final_blocks", "_takeover", "_zlib")

    def __init__(self, bits: int, takeover: bool) -> None:
        self._bits = bits
        self._takeover = takeover
        self._zlib: _Decompress | None = None
        self._final_blocks = 0

    def decompress(self, data: bytes, limit: int) -> bytes:
        """Return what ``data``, a piece of a message, inflates to.

        Raises ``WebSocketProtocolError``: 1009 if that is more than ``limit``
        bytes, 1007 if the data is not deflate. The inflater is then unusable.
        """
        inflate = self._zlib
        if inflate is None:
            inflate = self._zlib = zlib.decompressobj(-self._bits)
        try:
            # A limit of 0 would mean none to zlib; one byte more tells us.
            out = inflate.decompress(data, limit + 1)
            while inflate.eof and len(out) <= limit:
                # A final block (RFC 7692 §7.2.3.4) ends zlib's stream, and not
                # the message: go on behind it, with an empty window as the peer.
                self._final_blocks += 1
                if self._final_blocks > _FINAL_BLOCKS_A_MESSAGE:
                    raise WebSocketProtocolError(
                        "too many final blocks in a compressed message", INVALID_DATA
                    )
                data = inflate.unused_data
                inflate = self._zlib = zlib.decompressobj(-self._bits)
                if not data:
                    break
                out += inflate.decompress(data, limit + 1 - len(out))
        except zlib.error as exc:
            raise WebSocketProtocolError(
                f"compressed message is not deflate: {exc}", INVALID_DATA
            ) from None
        if len(out) > limit:
            raise WebSocketProtocolError(
                "message exceeds the size limit when decompressed", MESSAGE_TOO_BIG
            )
        return out

    def finish(self, limit: int) -> bytes:
        """Return the rest of the message and get ready for the next one.

        Raises as ``decompress`` does.
        """
        out = self.decompress(_TAIL, limit)
        self._final_blocks = 0
        if not self._takeover:
            self._zlib = None
        return out


class Deflater:
    """Compresses the messages of one connection, in the order they are sent."""

    __slots__ = ("_settings", "_takeover", "_zlib", "bits", "threshold")

    def __init__(self, settings: DeflateSettings, bits: int, takeover: bool) -> None:
        self._settings = settings
        self._takeover = takeover
        self._zlib: _Compress | None = None
        self.bits = bits
        self.threshold = settings.threshold

    def compress(self, payload: bytes) -> bytes:
        """Return the payload of a compressed message (RFC 7692 §7.2.1)."""
        if not payload:
            return b"\x00"
        deflate = self._zlib
        if deflate is None:
            settings = self._settings
            deflate = zlib.compressobj(
                settings.level, zlib.DEFLATED, -self.bits, settings.memory_level
            )
            if self._takeover:
                self._zlib = deflate
        out = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
        return out[: -len(_TAIL)]

    def forget(self) -> None:
        """Start afresh: the peer's window is about to get what we did not compress.

        Call it before sending a message compressed elsewhere (a broadcast): then
        no later message points back behind it.
        """
        self._zlib = None

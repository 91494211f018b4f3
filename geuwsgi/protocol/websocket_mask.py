"""Unmasking (RFC 6455 §5.3), the only work per byte that a websocket server does.

In plain Python two ways are quick, depending on the size; µs on CPython 3.11:

    bytes   one big int   four translations   websockets.speedups
       64          0.36                1.15                  0.10
     2048          4.0                 4.3                   0.16
    16384         28.9                26.5                   0.45
    65536        170.8               104.2                   1.28

Where geuwsgi was compiled, ``_mask`` does it (0.06 and 0.6 µs for 64 and 16384 bytes).
Else the C function of the ``websockets`` package is used where it is installed; it is
not a documented interface, so its absence or failure is never an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_TRANSLATE_FROM: Final = 2048

# _XOR[k] maps every byte b to b ^ k. (All bytes at once: a fiftieth of the time.)
_BYTES: Final = int.from_bytes(bytes(range(256)), "little")
_ONES: Final = int.from_bytes(b"\1" * 256, "little")
_XOR: Final = tuple((_BYTES ^ _ONES * k).to_bytes(256, "little") for k in range(256))


def unmask_in_python(payload: bytes, mask: bytes) -> bytes:
    """Return ``payload`` XOR the four bytes of ``mask``, repeated."""
    size = len(payload)
    if size < _TRANSLATE_FROM:
        return (
            int.from_bytes(payload, "little")
            ^ int.from_bytes((mask * ((size + 3) >> 2))[:size], "little")
        ).to_bytes(size, "little")
    out = bytearray(size)
    out[0::4] = payload[0::4].translate(_XOR[mask[0]])
    out[1::4] = payload[1::4].translate(_XOR[mask[1]])
    out[2::4] = payload[2::4].translate(_XOR[mask[2]])
    out[3::4] = payload[3::4].translate(_XOR[mask[3]])
    return bytes(out)


def _fastest_unmask() -> Callable[[bytes, bytes], bytes]:
    try:
        from geuwsgi.protocol._mask import unmask as compiled_unmask
    except ImportError:
        pass
    else:
        return compiled_unmask
    try:
        from websockets.speedups import apply_mask
    except ImportError:
        return unmask_in_python
    payload, mask = bytes(range(37)), b"\x01\x20\x03\x40"
    try:
        works = apply_mask(payload, mask) == unmask_in_python(payload, mask)
    except Exception:
        works = False
    return apply_mask if works else unmask_in_python


unmask: Final = _fastest_unmask()


def _unmask_slice(octets: bytes, start: int, end: int, mask: bytes) -> bytes:
    """Return ``octets[start:end]``, unmasked."""
    return unmask(octets[start:end], mask)


def _fastest_unmask_part() -> Callable[[bytes, int, int, bytes], bytes]:
    try:
        from geuwsgi.protocol._mask import unmask_part as compiled_unmask_part
    except ImportError:
        return _unmask_slice
    return compiled_unmask_part


unmask_part: Final = _fastest_unmask_part()

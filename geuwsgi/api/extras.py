"""The rest of the ``uwsgi`` module: alarms, and what has no meaning here but callers."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from geuwsgi.api.basic import as_bytes
from geuwsgi.background.alarms import encode_raise
from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import uwsgi

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext

_LONGEST_WARNING = 80
_PACKET_KINDS = (0, 17)


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions that no other part has set."""
    extras = _Extras(context)
    for function in (
        extras.alarm,
        extras.set_warning_message,
        parsefile,
        embedded_data,
        extract,
        i_am_the_lord,
        lord_scroll,
        scrolls,
    ):
        if not hasattr(module, function.__name__):
            setattr(module, function.__name__, function)


class _Extras:
    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def alarm(self, name: str, message: str | bytes, /) -> None:
        """Raise an alarm; an unknown one is ignored."""
        _check_str(name)
        boxes = self._context.commons.mailboxes
        text = as_bytes(message)
        if boxes is not None:
            boxes.alarm_messages.send(encode_raise(name, text))

    def set_warning_message(self, message: str, /) -> bool:
        """Set what pings of this process are answered with; True."""
        _check_str(message)
        self._context.background.warning = message.encode()[:_LONGEST_WARNING]
        return True


def parsefile(path: str, /) -> dict[bytes, bytes] | None:
    """Return the dictionary in a file that holds a uwsgi packet, or None."""
    _check_str(path)
    try:
        octets = Path(path).read_bytes()
        modifier1, size, _ = uwsgi.decode_header(octets.ljust(4, b"\xff"))
        block = octets[uwsgi.HEADER_SIZE : uwsgi.HEADER_SIZE + size]
        if modifier1 not in _PACKET_KINDS or len(block) != size:
            return None
        items = uwsgi.decode_array(block)
        return dict(zip(items[::2], items[1::2], strict=True))
    except (OSError, ValueError, RemoteProtocolError):
        return None


def embedded_data(name: str, /) -> bytes:
    """Raise ValueError: nothing is embedded in a Python program."""
    raise ValueError(f"unable to find symbol {name}")


def extract(path: str, /) -> bytes | None:
    """Return what a file holds, None if it cannot be read.

    Of uWSGI's other schemes none is here.
    """
    _check_str(path)
    try:
        return Path(path.removeprefix("file://")).read_bytes()
    except OSError:
        return None


def i_am_the_lord(legion: str, /) -> bool:
    """Return False: there are no legions."""
    _check_str(legion)
    return False


def lord_scroll(legion: str, /) -> bytes | None:
    """Return None: there are no legions."""
    _check_str(legion)
    return None


def scrolls(legion: str, /) -> list[bytes] | None:
    """Return None: there are no legions."""
    _check_str(legion)
    return None


def _check_str(value: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"a str is required, not {type(value).__name__}")

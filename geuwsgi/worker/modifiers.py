"""What answers packets of which modifier1 on uwsgi sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError

if TYPE_CHECKING:
    from geuwsgi.server.connection import Connection

    PacketHandler = Callable[[Connection, int, bytes], None]

#: Python with the path split: what nginx configurations of old say for mounts. The
#: path is split for all requests here (manage-script-name), or for none.
_MANAGE_PATH_INFO = 30
_REQUEST = 0


def modifiers_of(
    services: Mapping[int, PacketHandler], *, allowed: str | None, remap: str | None
) -> dict[int, PacketHandler | None]:
    """Return what answers packets of each modifier; None stands for requests.

    Raises ConfigError for options that are malformed.
    """
    found: dict[int, PacketHandler | None] = {_MANAGE_PATH_INFO: None, **services}
    for pair in (remap or "").split(","):
        if pair:
            source, _, target = pair.partition(":")
            number = _modifier(target, "remap-modifier")
            if number != _REQUEST and number not in found:
                raise ConfigError(f"remap-modifier: nothing answers modifier {number}")
            found[_modifier(source, "remap-modifier")] = found.get(number)
    if allowed:
        kept = {_modifier(text, "allowed-modifiers") for text in allowed.split(",")}
        found = {number: found[number] for number in found if number in kept}
    return found


def _modifier(text: str, option: str) -> int:
    text = text.strip()
    if not text.isdigit() or int(text) > 255:
        raise ConfigError(f"{option} needs numbers below 256: {text!r}")
    return int(text)

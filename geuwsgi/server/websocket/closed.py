"""How a websocket tells that it is at its end."""

from __future__ import annotations

from geuwsgi.errors import Disconnected


class WebSocketClosed(Disconnected):
    """The websocket is closed; ``code`` and ``reason`` are those of its end.

    1006 if the connection broke without a close frame.
    """

    def __init__(self, code: int, reason: str) -> None:
        text = f"websocket closed: {code}"
        super().__init__(f"{text} {reason}" if reason else text)
        self.code = code
        self.reason = reason

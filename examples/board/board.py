"""A drawing board for everybody who opens the page: websockets, with uWSGI's own API.

Start it with ``geuwsgi board.ini``, open the page in two windows and draw. Each window
is one websocket, one core and two greenlets: one hears, one tells.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import uwsgi  # exists inside the server only
from gevent.queue import Full, Queue

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PAGE = Path(__file__).with_name("page.html").read_bytes()

KEPT_LINES = 5000
#: A window that is so many lines behind is too slow to go on with.
LONGEST_QUEUE = KEPT_LINES + 1000

Line = list[float | str]


def parse_line(message: bytes) -> Line | None:
    """``[x, y, x, y, colour]`` with numbers from 0 to 1; None if it is not that."""
    try:
        line = json.loads(message)
    except ValueError:
        return None
    if not isinstance(line, list) or len(line) != 5 or not isinstance(line[4], str):
        return None
    numbers = [part for part in line[:4] if isinstance(part, (int, float))]
    if len(numbers) != 4 or not all(0 <= number <= 1 for number in numbers):
        return None
    return [*numbers, line[4][:20]]


class Board:
    """What was drawn, and a queue for everybody who looks at it."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=KEPT_LINES)
        self._windows: set[Queue[Line | None]] = set()

    def enter(self) -> Queue[Line | None]:
        window: Queue[Line | None] = Queue(maxsize=LONGEST_QUEUE)
        for line in self._lines:
            window.put_nowait(line)
        self._windows.add(window)
        return window

    def leave(self, window: Queue[Line | None]) -> None:
        self._windows.discard(window)

    def draw(self, line: Line) -> None:
        self._lines.append(line)
        for window in list(self._windows):
            try:
                window.put_nowait(line)
            except Full:
                self.leave(window)


board = Board()


def tell(window: Queue[Line | None], context: Any) -> None:
    """Send what comes in ``window`` to its websocket, until a None."""
    while (line := window.get()) is not None:
        uwsgi.websocket_send(json.dumps(line), request_context=context)


def serve_window(environ: WSGIEnvironment) -> None:
    uwsgi.websocket_handshake()
    window = board.enter()
    teller = gevent.spawn(tell, window, uwsgi.request_context())
    try:
        while True:
            line = parse_line(uwsgi.websocket_recv())
            if line is not None:
                board.draw(line)
    except OSError:
        pass  # The window was closed.
    finally:
        board.leave(window)
        teller.kill()


def application(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
        serve_window(environ)
        return []
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(PAGE))),
    ]
    start_response("200 OK", headers)
    return [PAGE]

"""Server-sent events: one response that never ends, and a page that listens to it.

Every open page holds one request and one greenlet. `time.sleep` is gevent's here: the
server patches the standard library before it imports this file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Events</title>
<style>
  body { font: 3rem/1.3 system-ui, sans-serif; display: grid; place-content: center;
         height: 90vh; text-align: center; color-scheme: light dark; }
  small { display: block; font-size: 1rem; opacity: .6; }
</style>
<output>…</output>
<script>
  const output = document.querySelector("output");
  new EventSource("events").onmessage = (event) => {
    const { time, listeners } = JSON.parse(event.data);
    const note = document.createElement("small");
    note.textContent = `${listeners} listening`;
    output.replaceChildren(time, note);
  };
</script>
"""

INTERVAL_S = 1.0


class Clock:
    """Tells everybody the time, and how many are being told."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._listeners = 0

    def events(self) -> Iterator[bytes]:
        self._listeners += 1
        try:
            while True:
                event = {
                    "time": time.strftime("%H:%M:%S"),
                    "listeners": self._listeners,
                }
                yield f"data: {json.dumps(event)}\n\n".encode()
                time.sleep(self._interval_s)
        finally:
            # The server closes the iterator when the visitor is gone.
            self._listeners -= 1

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/events":
            headers = [
                ("Content-Type", "text/event-stream"),
                ("Cache-Control", "no-store"),
                # nginx would collect the events in a buffer otherwise.
                ("X-Accel-Buffering", "no"),
            ]
            start_response("200 OK", headers)
            return self.events()
        body = PAGE.encode()
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
        ]
        start_response("200 OK", headers)
        return [body]


application = Clock()

"""``X-Sendfile`` and ``X-Accel-Redirect``: the application names a file.

Written for a web server in front that sends the file in the application's place. With
``x-sendfile`` and ``x-accel-redirect`` we are that server; without them the fields go
out as they are, to whoever is in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from geuwsgi.server.static.answer import Headers
from geuwsgi.server.static.paths import file_system_path, joined
from geuwsgi.server.static.stage import StaticMap, parse_static_map
from geuwsgi.server.static.store import Root

if TYPE_CHECKING:
    from geuwsgi.options import Offload
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.static.build import FileService

# The file has its own; what else the application said about it is kept.
_OF_THE_FILE = frozenset(
    {
        *("accept-ranges", "content-encoding", "content-length", "content-range"),
        *("etag", "last-modified", "x-accel-redirect", "x-sendfile"),
    }
)


class NamedFiles:
    """A response filter that answers with the file a response names.

    What names no file below the configured directories is answered with 404, as a
    web server does: the response was never meant to be seen.
    """

    def __init__(self, service: FileService, offload: Offload) -> None:
        """Raises ConfigError for a map that is none."""
        self._service = service
        self._maps = tuple(
            parse_static_map(value, keeps_prefix=False, option="x-accel-redirect")
            for value in offload.x_accel_redirect
        )
        self._roots = tuple(Root(directory) for directory in offload.x_sendfile)

    def __bool__(self) -> bool:
        return bool(self._maps or self._roots)

    def __call__(self, exchange: Exchange) -> None:
        """Answer in the application's place if its response names a file."""
        if exchange.replaceable:
            return
        places = self._places(exchange)
        if places is None:
            return
        given: Headers = [
            field
            for field in exchange.headers or ()
            if field[0].lower() not in _OF_THE_FILE
        ]
        exchange.replaceable = True
        try:
            if not any(
                self._send(exchange, path, root, given) for path, root in places
            ):
                exchange.start_response(
                    "404 Not Found",
                    [("Content-Type", "text/plain"), ("Content-Length", "9")],
                )
                exchange.write(b"Not Found")
            exchange.finish()
        finally:
            exchange.replaceable = False

    def _places(self, exchange: Exchange) -> list[tuple[str, Root]] | None:
        """Where the file may be; None if the response names none."""
        for name, value in exchange.headers or ():
            lowered = name.lower()
            if lowered == "x-sendfile" and self._roots:
                path = file_system_path(value)
                return [
                    (path, root)
                    for root in self._roots
                    if joined("", path) is not None and path.startswith("/")
                ]
            if lowered == "x-accel-redirect" and self._maps:
                # A URI, so it may be encoded (nginx decodes it too).
                uri = unquote_to_bytes(value.partition("?")[0]).decode("latin-1")
                return [
                    (path, entry.root)
                    for entry in self._maps
                    if uri.startswith(entry.prefix)
                    for path in (_path_of(entry, uri),)
                    if path is not None
                ]
        return None

    def _send(self, exchange: Exchange, path: str, root: Root, given: Headers) -> bool:
        service = self._service
        for _ in range(2):  # the file may be replaced in between
            record = service.store.find(path, root)
            if record is None:
                return False
            if service.answer.send(exchange, record, given):
                return True
        return False


def _path_of(entry: StaticMap, uri: str) -> str | None:
    return entry.path_of(file_system_path(uri))

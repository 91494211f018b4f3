"""``error-page-403``, ``-404``, ``-500``: a file for an error of the server's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from geuwsgi.wsgi.response import reason_phrase

if TYPE_CHECKING:
    from geuwsgi.options import Routing
    from geuwsgi.server.exchange import Exchange


class ErrorPages:
    """Asked when the server is about to answer with an error by itself.

    What an application answers is not touched. Of several files for one status the
    first that can be read is sent.
    """

    __slots__ = ("_paths",)

    def __init__(self, routing: Routing) -> None:
        self._paths: Mapping[int, tuple[str, ...]] = {
            403: routing.error_page_403,
            404: routing.error_page_404,
            500: routing.error_page_500,
        }

    def __bool__(self) -> bool:
        return any(self._paths.values())

    def __call__(self, exchange: Exchange, code: int) -> bool:
        """Answer with the page for ``code``; False if there is none."""
        for path in self._paths.get(code, ()):
            try:
                page = Path(path).read_bytes()
            except OSError:
                continue
            exchange.replaceable = True
            exchange.start_response(
                f"{code} {reason_phrase(code)}",
                [("Content-Type", "text/html"), ("Content-Length", str(len(page)))],
            )
            exchange.replaceable = False
            exchange.write_whole(page)
            return True
        return False

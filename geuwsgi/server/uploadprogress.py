"""How far an upload is, in a file that a page can ask for (uWSGI: upload-progress).

A request whose URI holds ``X-Progress-ID=`` and a UUID gets a file of that name in a
directory that the front server, or ``static-map``, serves. It is there from the first
byte of the body until the response is over.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from geuwsgi.wsgi.input import BodyInput, LengthInput

if TYPE_CHECKING:
    from geuwsgi.server.exchange import Exchange

# Nothing else may be a file's name: it comes from the client.
_PROGRESS_ID = re.compile(
    r"X-Progress-ID=([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?![^&#])"
)


class UploadProgress:
    """A stage: never answers, but has uploads into ``directory`` reported."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def __call__(self, exchange: Exchange) -> bool:
        """Have the body of ``exchange`` tell its progress, if it is asked to."""
        body = exchange.input
        if not isinstance(body, BodyInput) or body.complete:
            return False
        asked = _PROGRESS_ID.search(str(exchange.environ.get("REQUEST_URI", "")))
        if asked is None:
            return False
        path = os.path.join(self._directory, f"{asked[1]}.js")
        try:
            report = _Report(path, body)
        except OSError as exc:
            exchange.site.report(f"upload-progress: {path}: {exc.strerror}")
            return False
        body.on_received = report.add
        exchange.at_end(report.close)
        return False


class _Report:
    """The file of one upload."""

    def __init__(self, path: str, body: BodyInput) -> None:
        self._path = path
        self._size = 0
        self._received = 0
        if isinstance(body, LengthInput):
            self._size = body.available + body.remaining
            self._received = body.available
        self._fd = os.open(
            path,
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o644,
        )
        self.add(0)

    def add(self, count: int) -> None:
        """Tell of ``count`` more bytes."""
        self._received += count
        text = (
            f'{{ "state" : "uploading", "received" : {self._received}, '
            f'"size" : {self._size} }}\n'
        )
        # A full disk is no reason to refuse the upload.
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, text.encode(), 0)

    def close(self) -> None:
        """Remove the file."""
        os.close(self._fd)
        with contextlib.suppress(OSError):
            os.unlink(self._path)

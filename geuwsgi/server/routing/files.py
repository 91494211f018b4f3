"""Actions that answer with files, raw text or a moment of expiry."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.protocol.dates import format_http_date
from geuwsgi.server.routing.answers import answer_status, field_value
from geuwsgi.server.routing.kit import Kit, parse_key_values
from geuwsgi.server.routing.visit import Outcome
from geuwsgi.server.static.paths import file_system_path
from geuwsgi.server.static.store import Record, Root

if TYPE_CHECKING:
    from geuwsgi.server.routing.actions import Action, ActionFactory
    from geuwsgi.server.routing.template import Template
    from geuwsgi.server.routing.visit import Visit


class FileFinder:
    """Finds the file that a template names.

    What the configuration says before the first variable bounds what a client may
    choose: ``/srv/media/$1`` stays below ``/srv/media``, whatever ``$1`` is. A
    template that begins with a variable is bounded by nothing; its author said so.
    """

    __slots__ = ("_kit", "_root", "_template")

    def __init__(self, template: Template, kit: Kit) -> None:
        self._template = template
        self._kit = kit
        beginning = file_system_path(template.fixed_beginning)
        if template.literal is not None:
            directory = beginning
        else:
            directory = beginning[: beginning.rfind("/") + 1] or "."
            if not beginning:
                directory = "/"
        self._root = Root(directory)

    def find(self, visit: Visit) -> Record | None:
        """The file, or None if there is none that may be sent."""
        path = file_system_path(self._template.render(visit))
        if not path or "\0" in path:
            return None
        if self._template.literal is None and ".." in PurePosixPath(path).parts:
            return None
        return self._kit.files.store.find(path, self._root)


def _static(missing: Outcome) -> ActionFactory:
    def make(argument: str, kit: Kit) -> Action:
        finder = FileFinder(kit.template(argument), kit)

        def act(visit: Visit) -> Outcome:
            for _ in range(2):  # the file may be replaced in between
                record = finder.find(visit)
                if record is None:
                    break
                if kit.files.answer.send(visit.exchange, record):
                    return Outcome.BREAK
            if missing is Outcome.BREAK:
                answer_status(visit.exchange, 404)
            return missing

        return act

    return make


def _file(missing: Outcome) -> ActionFactory:
    def make(argument: str, kit: Kit) -> Action:
        if "=" not in argument:
            argument = f"filename={argument}"
        values = parse_key_values(
            argument,
            kit,
            action="file",
            known=(
                *("filename", "status", "content_type", "mime"),
                *("no_content_length", "no_cl", "no_headers"),
            ),
            needed=("filename",),
        )
        finder = FileFinder(values["filename"], kit)

        def act(visit: Visit) -> Outcome:
            record = finder.find(visit)
            fd = kit.files.store.open(record) if record is not None else None
            if record is None or fd is None:
                if missing is Outcome.BREAK:
                    answer_status(visit.exchange, 404)
                return missing
            try:
                _send_file(visit, record, fd, values)
            finally:
                os.close(fd)
            return Outcome.BREAK

        return act

    return make


def _send_file(
    visit: Visit, record: Record, fd: int, values: Mapping[str, Template]
) -> None:
    def value(name: str, default: str) -> str:
        return values[name].render(visit) if name in values else default

    exchange = visit.exchange
    media_type = value("content_type", "text/html")
    if "mime" in values:
        media_type = record.media_type or media_type
    exchange.start_response(
        field_value(value("status", "200 OK"), "the status"),
        [
            ("Content-Type", field_value(media_type, "the media type")),
            ("Content-Length", str(record.size)),
        ],
    )
    if exchange.method != "HEAD" and record.size:
        exchange.send_file(fd, 0, record.size)
    exchange.finish()


def _expires(argument: str, kit: Kit) -> Action:
    values = parse_key_values(
        argument, kit, action="expires", known=("filename", "unix", "value")
    )
    if not values:
        raise ConfigError("expires needs filename=, unix= or value=")

    def act(visit: Visit) -> Outcome:
        try:
            moment = _moment(visit, values)
        except (OSError, ValueError):
            return Outcome.NEXT  # no such file, no number: no promise
        visit.exchange.add_header("Expires", format_http_date(moment))
        return Outcome.NEXT

    return act


def _moment(visit: Visit, values: Mapping[str, Template]) -> float:
    if "filename" in values:
        path = file_system_path(values["filename"].render(visit))
        base = os.stat(path).st_mtime
    elif "unix" in values:
        base = float(int(values["unix"].render(visit)))
    else:
        base = time.time()
    if "value" in values:
        base += int(values["value"].render(visit))
    return base


FILE_ACTIONS: Mapping[str, ActionFactory] = {
    "expires": _expires,
    "fastfile": _file(Outcome.BREAK),
    "fastfile-next": _file(Outcome.NEXT),
    "file": _file(Outcome.BREAK),
    "file-next": _file(Outcome.NEXT),
    "sendfile": _file(Outcome.BREAK),
    "sendfile-next": _file(Outcome.NEXT),
    "static": _static(Outcome.BREAK),
    "static-next": _static(Outcome.NEXT),
}

"""Actions that change bodies, and those that keep them in a cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.server.routing.answers import answer, field_value
from geuwsgi.server.routing.kit import CacheStore, Kit, parse_key_values
from geuwsgi.server.routing.visit import Outcome
from geuwsgi.server.static.paths import file_system_path
from geuwsgi.server.transform import (
    Copy,
    Gzip,
    Transformation,
    Upper,
    Whole,
    add_transformation,
)
from geuwsgi.shared.arithmetic import Arithmetic

if TYPE_CHECKING:
    from geuwsgi.server.routing.actions import Action, ActionFactory
    from geuwsgi.server.routing.visit import Visit

# A body that is kept or changed as a whole is held in memory.
MAX_WHOLE = 16 * 1024 * 1024


def _transforming(make: Callable[[Visit], Transformation]) -> Action:
    def act(visit: Visit) -> Outcome:
        add_transformation(visit.exchange, make(visit))
        return Outcome.NEXT

    return act


def _gzip(argument: str, kit: Kit) -> Action:
    return _transforming(lambda visit: Gzip())


def _toupper(argument: str, kit: Kit) -> Action:
    return _transforming(lambda visit: Upper())


def _nothing(argument: str, kit: Kit) -> Action:
    # Bodies of unknown length are chunked, and bytes leave when they are written.
    return lambda visit: Outcome.NEXT


def _template(argument: str, kit: Kit) -> Action:
    def transformation(visit: Visit) -> Transformation:
        def change(body: bytes) -> bytes:
            template = kit.template_of_body(body.decode("latin-1"))
            return template.render(visit).encode("latin-1", "replace")

        return Whole(change, MAX_WHOLE)

    return _transforming(transformation)


def _tofile(argument: str, kit: Kit) -> Action:
    values = parse_key_values(
        argument, kit, action="tofile", known=("filename",), needed=("filename",)
    )

    def transformation(visit: Visit) -> Transformation:
        path = file_system_path(values["filename"].render(visit))

        def keep(body: bytes) -> None:
            try:
                _write_new_file(path, body)
            except (OSError, ValueError) as exc:
                kit.report(f"tofile: cannot write {path!r}: {exc}")

        return Copy(keep, MAX_WHOLE)

    return _transforming(transformation)


def _write_new_file(path: str, body: bytes) -> None:
    # Whoever reads it meets the old file or the new one, never half of it.
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with open(fd, "wb") as file:
            file.write(body)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


class _CacheArguments:
    """The part that all cache actions have in common: which cache and which key."""

    __slots__ = ("_kit", "values")

    def __init__(
        self,
        argument: str,
        kit: Kit,
        action: str,
        *more: str,
        needed: tuple[str, ...] = (),
    ) -> None:
        self._kit = kit
        self.values = parse_key_values(
            argument,
            kit,
            action=action,
            known=("key", "name", *more),
            needed=("key", *needed),
        )

    def cache(self, visit: Visit) -> CacheStore | None:
        name = self.values["name"].render(visit) if "name" in self.values else ""
        return self._kit.cache(name)

    def key(self, visit: Visit) -> bytes:
        return self.values["key"].render(visit).encode("latin-1")

    def get(self, visit: Visit) -> bytes | None:
        cache = self.cache(visit)
        return cache.get(self.key(visit)) if cache is not None else None

    def text(self, name: str, visit: Visit, default: str = "") -> str:
        template = self.values.get(name)
        return template.render(visit) if template is not None else default

    def seconds(self, visit: Visit) -> int:
        text = self.text("expires", visit, "0")
        return int(text) if text.isdigit() and text.isascii() else 0


def _cache_number(arithmetic: Arithmetic) -> ActionFactory:
    """``cacheinc`` and its like: change a number in a cache."""

    def make(argument: str, kit: Kit) -> Action:
        action = f"cache{arithmetic.value}"
        arguments = _CacheArguments(argument, kit, action, "value", "expires")

        def act(visit: Visit) -> Outcome:
            cache = arguments.cache(visit)
            if cache is not None:
                text = arguments.text("value", visit, "1")
                amount = int(text) if text.isascii() and text.isdigit() else 1
                cache.change(
                    arguments.key(visit), arithmetic, amount, arguments.seconds(visit)
                )
            return Outcome.NEXT

        return act

    return make


def _cache(argument: str, kit: Kit) -> Action:
    arguments = _CacheArguments(
        argument,
        kit,
        "cache",
        *("content_type", "type", "content_encoding", "mime", "status", "expires"),
        *("no_offload", "no_content_length", "no_cl"),
    )

    def act(visit: Visit) -> Outcome:
        value = arguments.get(visit)
        if value is None:
            return Outcome.NEXT
        media_type = arguments.text("type", visit, "text/html")
        media_type = arguments.text("content_type", visit, media_type)
        if "mime" in arguments.values:
            found = kit.files.mime.type_of(visit.variable("PATH_INFO"))
            media_type = found or media_type
        fields = [("Content-Type", field_value(media_type, "the media type"))]
        encoding = arguments.text("content_encoding", visit)
        if encoding:
            fields.append(("Content-Encoding", field_value(encoding, "the encoding")))
        status = arguments.text("status", visit, "200 OK")
        answer(visit.exchange, field_value(status, "the status"), value, fields)
        return Outcome.BREAK

    return act


def _cachestore(argument: str, kit: Kit) -> Action:
    arguments = _CacheArguments(argument, kit, "cachestore", "expires")

    def transformation(visit: Visit) -> Transformation:
        cache = arguments.cache(visit)
        key = arguments.key(visit)
        seconds = arguments.seconds(visit)

        def keep(body: bytes) -> None:
            if cache is not None:
                cache.update(key, body, seconds)

        return Copy(keep, MAX_WHOLE)

    def act(visit: Visit) -> Outcome:
        # An answer to HEAD or POST is not what GET is to be answered with.
        if visit.exchange.method == "GET":
            add_transformation(visit.exchange, transformation(visit))
        return Outcome.NEXT

    return act


def _cacheset(argument: str, kit: Kit) -> Action:
    arguments = _CacheArguments(
        argument, kit, "cacheset", "value", "expires", needed=("value",)
    )

    def act(visit: Visit) -> Outcome:
        cache = arguments.cache(visit)
        if cache is not None:
            value = arguments.text("value", visit).encode("latin-1")
            cache.update(arguments.key(visit), value, arguments.seconds(visit))
        return Outcome.NEXT

    return act


def _cachevar(argument: str, kit: Kit) -> Action:
    arguments = _CacheArguments(argument, kit, "cachevar", "var", needed=("var",))
    name = arguments.values["var"].text
    if name.startswith("wsgi."):
        raise ConfigError(f"cachevar may not replace the server's own {name!r}")

    def act(visit: Visit) -> Outcome:
        value = arguments.get(visit)
        if value is not None:
            visit.environ[name] = value.decode("latin-1")
        return Outcome.NEXT

    return act


TRANSFORM_ACTIONS: Mapping[str, ActionFactory] = {
    "cache": _cache,
    "cache-continue": _cache,
    **{f"cache{change.value}": _cache_number(change) for change in Arithmetic},
    "cacheset": _cacheset,
    "cachestore": _cachestore,
    "cache-store": _cachestore,
    "cachevar": _cachevar,
    "chunked": _nothing,
    "gzip": _gzip,
    "offload": _nothing,
    "template": _template,
    "to-file": _tofile,
    "tofile": _tofile,
    "toupper": _toupper,
}

"""From settings to the objects that serve files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from geuwsgi.errors import ConfigError
from geuwsgi.options import Offload, Static
from geuwsgi.server.pattern import compile_pattern
from geuwsgi.server.static.answer import FileAnswer, TwinRules, parse_serve_mode
from geuwsgi.server.static.expires import (
    ExpiresRule,
    ExpiresRules,
    pattern_rule,
    type_rule,
)
from geuwsgi.server.static.mime import SYSTEM_TABLE, MimeTable
from geuwsgi.server.static.stage import StaticFiles, StaticMap, parse_static_map
from geuwsgi.server.static.store import FileStore, Root

_DEFAULT_TRUST_S = 1.0


@dataclass(frozen=True)
class FileService:
    """What serves files in one worker, whoever decided that a file is the answer."""

    store: FileStore
    answer: FileAnswer
    mime: MimeTable


def file_service(static: Static, offload: Offload) -> FileService:
    """Build the file service of a worker.

    Raises ConfigError for a rule that makes no sense or a mime file that cannot be
    read.
    """
    mime = _mime_table(static.mimefile)
    store = FileStore(mime.type_of, safe=static.static_safe, trust_s=_trust_s(static))
    answer = FileAnswer(
        store,
        expires=ExpiresRules(_expires_rules(static)),
        twins=TwinRules(
            everything=static.static_gzip_all,
            prefixes=static.static_gzip_dir,
            extensions=static.static_gzip_ext,
            searches=[_search(pattern) for pattern in static.static_gzip],
        ),
        mode=parse_serve_mode(offload.file_serve_mode),
    )
    return FileService(store, answer, mime)


def static_files(static: Static, service: FileService) -> StaticFiles | None:
    """Build the stage for static files, or None if none are configured."""
    trust_s = _trust_s(static)
    maps = [
        StaticMap("", Root(directory, trust_s=trust_s), keeps_prefix=False)
        for directory in static.check_static
    ]
    for keeps_prefix, values in (
        (False, static.static_map),
        (True, static.static_map2),
    ):
        maps += [
            parse_static_map(value, keeps_prefix=keeps_prefix, trust_s=trust_s)
            for value in values
        ]
    if not maps and not static.check_static_docroot:
        return None
    return StaticFiles(
        service.store,
        service.answer,
        maps,
        index=static.static_index,
        skip_extensions=static.static_skip_ext,
        use_document_root=static.check_static_docroot,
    )


def _trust_s(static: Static) -> float:
    return static.static_cache_paths or _DEFAULT_TRUST_S


def _mime_table(paths: tuple[str, ...]) -> MimeTable:
    texts = []
    for path in paths:
        try:
            texts.append(Path(path).read_text("utf-8", "replace"))
        except OSError as exc:
            raise ConfigError(
                f"cannot read the mime types of {path!r}: {exc.strerror}"
            ) from exc
    if not paths:
        # Not every machine has one; the built-in table then takes its place.
        with suppress(OSError):
            texts.append(Path(SYSTEM_TABLE).read_text("utf-8", "replace"))
    return MimeTable.from_texts(texts)


def _search(pattern: str) -> Callable[[str], object]:
    compiled = compile_pattern(pattern)

    def search(text: str) -> object:
        # No date and no twin for an absurd path, but the file all the same.
        if compiled.limit and len(text) > compiled.limit:
            return None
        return compiled.search(text)

    return search


def _expires_rules(static: Static) -> Iterator[ExpiresRule]:
    families = (
        ("filename", "static-expires", static.static_expires_mtime, True),
        ("filename", "static-expires", static.static_expires, False),
        ("uri", "static-expires-uri", static.static_expires_uri_mtime, True),
        ("uri", "static-expires-uri", static.static_expires_uri, False),
        (
            "path_info",
            "static-expires-path-info",
            static.static_expires_path_info_mtime,
            True,
        ),
        (
            "path_info",
            "static-expires-path-info",
            static.static_expires_path_info,
            False,
        ),
    )
    for attribute, option, values, since_mtime in families:
        for value in values:
            yield pattern_rule(
                value,
                option,
                attribute=attribute,
                since_mtime=since_mtime,
                compile_pattern=_search,
            )
    for values, since_mtime in (
        (static.static_expires_type_mtime, True),
        (static.static_expires_type, False),
    ):
        for value in values:
            yield type_rule(value, "static-expires-type", since_mtime=since_mtime)

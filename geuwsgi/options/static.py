"""Static files."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, SECONDS, TEXTS


class Static(Section):
    """Static files."""

    check_static: tuple[str, ...] = option(
        "serve a file below this directory if it bears the request's path",
        TEXTS,
        aliases=("static-check",),
    )
    check_static_docroot: bool = option(
        "serve a file below DOCUMENT_ROOT if it bears the request's path", FLAG
    )
    honour_range: bool = option("answer requests for a range of a static file", FLAG)
    mimefile: tuple[str, ...] = option(
        "take content types from this file", TEXTS, aliases=("mime-file",)
    )
    static_cache_paths: float = option(
        "remember for this many seconds where static files are",
        SECONDS,
        at_least=0,
        implies=("master",),
    )
    static_expires: tuple[str, ...] = option(
        "set Expires for files whose name matches: regexp seconds", TEXTS
    )
    static_expires_mtime: tuple[str, ...] = option(
        "set Expires from the time of change for files whose name matches", TEXTS
    )
    static_expires_path_info: tuple[str, ...] = option(
        "set Expires for paths that match: regexp seconds", TEXTS
    )
    static_expires_path_info_mtime: tuple[str, ...] = option(
        "set Expires from the time of change for paths that match", TEXTS
    )
    static_expires_type: tuple[str, ...] = option(
        "set Expires by content type: type=seconds", TEXTS
    )
    static_expires_type_mtime: tuple[str, ...] = option(
        "set Expires from the time of change by content type", TEXTS
    )
    static_expires_uri: tuple[str, ...] = option(
        "set Expires for request URIs that match: regexp seconds", TEXTS
    )
    static_expires_uri_mtime: tuple[str, ...] = option(
        "set Expires from the time of change for request URIs that match", TEXTS
    )
    static_gzip: tuple[str, ...] = option(
        "send a file's compressed twin if its name matches", TEXTS
    )
    static_gzip_all: bool = option(
        "send a file's compressed twin if there is one", FLAG
    )
    static_gzip_dir: tuple[str, ...] = option(
        "send compressed twins of files below this directory",
        TEXTS,
        aliases=("static-gzip-prefix",),
    )
    static_gzip_ext: tuple[str, ...] = option(
        "send compressed twins of files with this ending",
        TEXTS,
        aliases=("static-gzip-suffix",),
    )
    static_index: tuple[str, ...] = option("serve this file for a directory", TEXTS)
    static_map: tuple[str, ...] = option(
        "serve a path from a directory: path=directory", TEXTS
    )
    static_map2: tuple[str, ...] = option(
        "serve a path from below a directory: path=directory", TEXTS
    )
    static_safe: tuple[str, ...] = option(
        "allow links of static files to lead into this directory", TEXTS
    )
    static_skip_ext: tuple[str, ...] = option(
        "never serve static files with this ending", TEXTS
    )

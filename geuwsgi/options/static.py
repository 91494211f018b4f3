"""Static files."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, SECONDS, TEXT, TEXTS


class Static(Section):
    """Static files."""

    check_static: tuple[str, ...] = option(
        "look for PATH_INFO below this directory before the app",
        TEXTS,
        aliases=("static-check",),
    )
    check_static_docroot: bool = option("same below DOCUMENT_ROOT of the request", FLAG)
    honour_range: bool = option("answer Range requests for static files", FLAG)
    mimefile: tuple[str, ...] = option(
        "mime types file (Apache build default)", TEXTS, aliases=("mime-file",)
    )
    static_cache_paths: float = option(
        "cache resolved paths for N seconds", SECONDS, at_least=0, implies=("master",)
    )
    static_cache_paths_name: str | None = option(
        "cache used for that", TEXT, implies=("master",)
    )
    static_expires: tuple[str, ...] = option(
        "expires by resolved file name regexp (PCRE builds)", TEXTS
    )
    static_expires_mtime: tuple[str, ...] = option("same counted from mtime", TEXTS)
    static_expires_path_info: tuple[str, ...] = option(
        "expires by PATH_INFO regexp (PCRE builds)", TEXTS
    )
    static_expires_path_info_mtime: tuple[str, ...] = option(
        "same counted from mtime", TEXTS
    )
    static_expires_type: tuple[str, ...] = option(
        "expires by content type: type=seconds", TEXTS
    )
    static_expires_type_mtime: tuple[str, ...] = option(
        "expires by content type counted from mtime", TEXTS
    )
    static_expires_uri: tuple[str, ...] = option(
        "expires by REQUEST_URI regexp (PCRE builds)", TEXTS
    )
    static_expires_uri_mtime: tuple[str, ...] = option("same counted from mtime", TEXTS)
    static_gzip: tuple[str, ...] = option(
        "look for a .gz twin when the file name matches a regexp (PCRE builds)", TEXTS
    )
    static_gzip_all: bool = option("always look for .gz (and .br) twins", FLAG)
    static_gzip_dir: tuple[str, ...] = option(
        "look for twins below this directory/prefix",
        TEXTS,
        aliases=("static-gzip-prefix",),
    )
    static_gzip_ext: tuple[str, ...] = option(
        "look for twins when the name has this suffix",
        TEXTS,
        aliases=("static-gzip-suffix",),
    )
    static_index: tuple[str, ...] = option("index file name for directories", TEXTS)
    static_map: tuple[str, ...] = option(
        "prefix=dir: serve prefix from a directory or file (prefix removed)", TEXTS
    )
    static_map2: tuple[str, ...] = option(
        "prefix=dir: same with the full path appended", TEXTS
    )
    static_safe: tuple[str, ...] = option(
        "extra directory accepted after symlink resolution", TEXTS
    )
    static_skip_ext: tuple[str, ...] = option(
        "skip static lookup for this file extension", TEXTS
    )

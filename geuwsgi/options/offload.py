"""Offloading."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, TEXT, TEXTS


class Offload(Section):
    """Offloading."""

    disable_sendfile: bool = option(
        "copy files instead of having the kernel send them", FLAG
    )
    file_serve_mode: str | None = option(
        "send files with this method: sendfile, nginx, lighttpd",
        TEXT,
        aliases=("fileserve-mode",),
    )
    offload_threads: int = option(
        "take file transfers and proxying off the cores; the number has no meaning here",
        INT,
        aliases=("offload-thread",),
        at_least=0,
        when_true=1,
    )
    x_accel_redirect: tuple[str, ...] = option(
        "prefix=dir: send the file that X-Accel-Redirect of the application names",
        TEXTS,
        since="geuwsgi",
    )
    x_sendfile: tuple[str, ...] = option(
        "send the file that X-Sendfile of the application names below this directory",
        TEXTS,
        since="geuwsgi",
    )

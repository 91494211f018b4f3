"""Offloading."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, TEXT


class Offload(Section):
    """Offloading."""

    disable_sendfile: bool = option("copy instead of sendfile()", FLAG)
    file_serve_mode: str | None = option(
        "how files are sent: sendfile, or X-Accel-Redirect / X-Sendfile headers",
        TEXT,
        aliases=("fileserve-mode",),
    )
    offload_threads: int = option(
        "offload threads per worker",
        INT,
        aliases=("offload-thread",),
        at_least=0,
        when_true=1,
    )

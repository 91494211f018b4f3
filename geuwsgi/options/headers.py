"""Response headers."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import TEXTS


class Headers(Section):
    """Response headers."""

    add_header: tuple[str, ...] = option("add a header to every response", TEXTS)
    collect_header: tuple[str, ...] = option(
        "copy a response header into a variable: header variable",
        TEXTS,
        aliases=("response-header-collect",),
    )
    del_header: tuple[str, ...] = option(
        "remove a header from every response", TEXTS, aliases=("rem-header",)
    )
    pull_header: tuple[str, ...] = option(
        "move a response header into a variable: header variable", TEXTS
    )

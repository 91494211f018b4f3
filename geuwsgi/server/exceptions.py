"""Exceptions that leave the application: which of them replace the worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geuwsgi.options import Wsgi


def exception_watch(
    wsgi: Wsgi, retire: Callable[[str], object]
) -> Callable[[BaseException], None] | None:
    """Return what is told of each exception; None if no option asks for it.

    ``retire`` is called with the reason when the options (uWSGI: reload-on-exception
    and its narrower kinds) say that a worker is not to be trusted any more.
    """
    if not (
        wsgi.reload_on_exception
        or wsgi.reload_on_exception_type
        or wsgi.reload_on_exception_value
        or wsgi.reload_on_exception_repr
    ):
        return None

    def seen(exc: BaseException) -> None:
        name, text = type(exc).__name__, str(exc)
        if (
            wsgi.reload_on_exception
            or name in wsgi.reload_on_exception_type
            or text in wsgi.reload_on_exception_value
            or f"{name}: {text}" in wsgi.reload_on_exception_repr
        ):
            retire(f"reload-on-exception: {name}")

    return seen

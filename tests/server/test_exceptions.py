from __future__ import annotations

from typing import Any

import pytest

from geuwsgi.options import Wsgi
from geuwsgi.server.exceptions import exception_watch


def reasons(exc: BaseException, **options: Any) -> list[str]:
    told: list[str] = []
    watch = exception_watch(Wsgi(**options), told.append)
    assert watch is not None
    watch(exc)
    return told


def test_nobody_watches_unless_asked() -> None:
    assert exception_watch(Wsgi(), print) is None


@pytest.mark.parametrize(
    ("options", "retires"),
    [
        ({"reload_on_exception": True}, True),
        ({"reload_on_exception_type": ("KeyError", "ValueError")}, True),
        ({"reload_on_exception_type": ("KeyError",)}, False),
        ({"reload_on_exception_value": ("no more",)}, True),
        ({"reload_on_exception_value": ("no",)}, False),
        ({"reload_on_exception_repr": ("ValueError: no more",)}, True),
        ({"reload_on_exception_repr": ("KeyError: no more",)}, False),
    ],
)
def test_the_exceptions_that_replace_a_worker(
    options: dict[str, Any], retires: bool
) -> None:
    told = reasons(ValueError("no more"), **options)
    assert told == (["reload-on-exception: ValueError"] if retires else [])

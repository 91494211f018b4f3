"""Options of routers that cannot be meant, told before a router runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from geuwsgi.background.commons import Commons
from geuwsgi.config import load
from geuwsgi.errors import ConfigError
from geuwsgi.net.heldfiles import HeldFiles
from geuwsgi.worker.router import check_router


def check(directory: Path, text: str, kind: str = "http", *listeners: Any) -> None:
    path = directory / "router.ini"
    path.write_text(f"[uwsgi]\n{text}\n")
    check_router(
        load([str(path)], {}),
        kind,
        listeners=listeners,
        commons=Commons(),
        held=HeldFiles(),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("http-use-cache = nosuch", "http-use-cache: there is no cache 'nosuch'"),
        ("http-use-cache", "http-use-cache: there is no cache"),
        ("http-use-code-string = a.py:f", "it is 0:file.py:function"),
        ("http-use-code-string = 5:a.py:f", "it is 0:file.py:function"),
        ("http-use-code-string = 0:/no/a.py:f", "there is no file '/no/a.py'"),
        ("subscription-algo = best", "unknown algorithm 'best'"),
        ("http-var = x", "http-var: it is NAME=value, not 'x'"),
        ("http-fallback = h:x", "malformed port 'x'"),
    ],
)
def test_it_is_told_with_its_place(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, line)
    assert message in caught.value.message
    if not line.startswith("http-fallback"):  # checked with the plan already
        assert caught.value.origin == f"{tmp_path}/router.ini:2"


def test_a_certificate_that_is_missing_is_told(tmp_path: Path) -> None:
    listener = SimpleNamespace(
        kind="sslrouter", tls="/no/c,/no/k", origin="here:1", protocol="tcp"
    )
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, "", "sslrouter", listener)
    assert str(caught.value).startswith("here:1: sslrouter: cannot read '/no/c'")


def test_what_can_be_meant_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "find.py").touch()
    check(
        tmp_path,
        f"http-use-code-string = 0:{tmp_path}/find.py:f\nhttp-use-base = /run\n"
        "subscription-algo = lrc\nhttp-var = A=b",
    )
    check(
        tmp_path, "fastrouter-to = h:1\nfastrouter-use-pattern = /x/%%s", "fastrouter"
    )

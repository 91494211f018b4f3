from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from geuwsgi.net.exposure import exposure_warnings


def listener(protocol: str, host: str, family: int = socket.AF_INET) -> Any:
    bound = SimpleNamespace(family=family, getsockname=lambda: (host, 3031))
    return SimpleNamespace(protocol=protocol, name=f"{host}:3031", socket=bound)


@pytest.mark.parametrize("protocol", ["uwsgi", "scgi", "fastcgi-nph"])
@pytest.mark.parametrize("host", ["0.0.0.0", "8.8.8.8"])
def test_a_socket_that_trusts_strangers_is_told(protocol: str, host: str) -> None:
    (line,) = exposure_warnings([listener(protocol, host)])
    assert line.startswith("*** WARNING: ")
    assert f"{host}:3031" in line


def test_all_interfaces_of_ipv6_are_public() -> None:
    assert exposure_warnings([listener("uwsgi", "::", socket.AF_INET6)])
    assert not exposure_warnings([listener("uwsgi", "::1", socket.AF_INET6)])
    assert not exposure_warnings([listener("uwsgi", "fe80::1%eth0", socket.AF_INET6)])


@pytest.mark.parametrize(
    ("protocol", "host"),
    [("uwsgi", "127.0.0.1"), ("uwsgi", "10.0.0.1"), ("http", "0.0.0.0")],
)
def test_others_are_not(protocol: str, host: str) -> None:
    assert not exposure_warnings([listener(protocol, host)])


def test_unix_sockets_have_no_strangers() -> None:
    assert not exposure_warnings([listener("uwsgi", "/x", socket.AF_UNIX)])

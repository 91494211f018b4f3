"""What the log may show of URLs."""

from __future__ import annotations

import pytest

from geuwsgi.protocol.urls import without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://cache.test:6379/0", "redis://cache.test:6379/0"),
        ("redis://:secret@cache.test/0", "redis://***@cache.test/0"),
        ("redis://user:secret@cache.test", "redis://***@cache.test"),
        ("redis://:sec/ret@cache.test/0", "redis://***@cache.test/0"),
        ("redis://:sec@ret@cache.test/0", "redis://***@cache.test/0"),
        ("redis://:sec://ret@cache.test/0", "redis://***@cache.test/0"),
        ("redis://:sec?ret@cache.test/0", "redis://***"),
        ("unix:///run/redis.sock?password=secret", "unix:///run/redis.sock?***"),
        ("redis://cache.test/0?password=sec@ret", "redis://***"),
        ("user:secret@cache.test", "***@cache.test"),
        ("/run/redis.sock", "/run/redis.sock"),
        ("", ""),
    ],
)
def test_passwords_are_left_out(url: str, shown: str) -> None:
    assert without_secrets(url) == shown

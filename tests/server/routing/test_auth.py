"""Users and passwords."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.server.routing.auth import credentials_of
from geuwsgi.server.routing.passwords import apr1, check_password

Routed = Callable[..., Any]


def basic(user: str, password: str) -> str:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"Authorization: Basic {encoded}"


@pytest.mark.parametrize(
    ("field", "credentials"),
    [
        ("Basic am9lOnNlY3JldA==", ("joe", "secret")),
        ("basic am9lOnNlY3JldA==", ("joe", "secret")),
        ("Basic am9lOmE6Yg==", ("joe", "a:b")),
        ("Basic am9l", None),
        ("Basic !!!", None),
        ("Basic", None),
        ("Bearer am9lOnNlY3JldA==", None),
        ("", None),
    ],
)
def test_credentials_are_read(field: str, credentials: tuple[str, str] | None) -> None:
    assert credentials_of(field) == credentials


@pytest.mark.parametrize(
    ("password", "stored"),
    [
        ("secret", "secret"),
        ("password", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="),
        ("myPassword", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/"),
    ],
)
def test_passwords_are_checked_by_their_scheme(password: str, stored: str) -> None:
    assert check_password(password, stored)
    assert not check_password(password + "x", stored)


def test_apr1_of_long_and_empty_passwords() -> None:
    # Made with openssl passwd -apr1.
    assert apr1(b"", b"saltsalt") == "$apr1$saltsalt$a8ml/vK5HEjiZ5oypDWA7/"
    assert apr1(b"x" * 40, b"saltsalt") == "$apr1$saltsalt$2mFfzhmPOknAGlGo8.2/30"


def test_basicauth_asks_and_lets_in(routed: Routed) -> None:
    site = routed("route = ^/ basicauth:My Realm,joe:secret")
    refused = site.ask("/")
    assert refused.startswith("HTTP/1.1 401 ")
    assert '\r\nWWW-Authenticate: Basic realm="My Realm"\r\n' in refused
    assert site.ask("/", basic("joe", "wrong")).startswith("HTTP/1.1 401 ")
    assert site.ask("/", basic("tim", "secret")).startswith("HTTP/1.1 401 ")
    assert "REMOTE_USER='joe'" in site.ask("/", basic("joe", "secret"))


def test_basicauth_next_leaves_the_refusal_to_a_later_rule(routed: Routed) -> None:
    site = routed(
        "route = ^/ basicauth-next:One,joe:secret",
        "route-if = empty:${REMOTE_USER} basicauth:Two,tim:pass",
    )
    assert "REMOTE_USER='joe'" in site.ask("/", basic("joe", "secret"))
    assert "REMOTE_USER='tim'" in site.ask("/", basic("tim", "pass"))
    assert 'realm="Two"' in site.ask("/", basic("joe", "pass"))


def test_an_htpasswd_file_is_read_again_when_it_changes(
    routed: Routed, tmp_path: Path
) -> None:
    path = tmp_path / "htpasswd"
    path.write_text("# users\njoe:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=:a comment\n")
    site = routed(f"route = ^/ basicauth:Realm,{path}")
    assert "REMOTE_USER='joe'" in site.ask("/", basic("joe", "password"))
    path.write_text("tim:pass\n")
    os.utime(path, (1, 1))
    assert site.ask("/", basic("joe", "password")).startswith("HTTP/1.1 401 ")
    assert "REMOTE_USER='tim'" in site.ask("/", basic("tim", "pass"))


def test_a_password_file_that_is_missing_lets_nobody_in(
    routed: Routed, tmp_path: Path
) -> None:
    site = routed(f"route = ^/ basicauth:Realm,{tmp_path}/none")
    assert site.ask("/", basic("joe", "x")).startswith("HTTP/1.1 500 ")
    assert "none" in site.log[0]

"""``basicauth``: user names and passwords (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.server.routing.answers import answer, answer_status
from geuwsgi.server.routing.kit import Kit
from geuwsgi.server.routing.passwords import check_password
from geuwsgi.server.routing.visit import Outcome

if TYPE_CHECKING:
    from geuwsgi.server.routing.actions import Action, ActionFactory
    from geuwsgi.server.routing.visit import Visit

_MAX_HTPASSWD = 1 << 20


class HtpasswdFile:
    """``user:hash`` lines, read again when the file changes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._signature: tuple[int, int, int] | None = None
        self._users: dict[str, str] = {}

    def stored(self, user: str) -> str | None:
        """The hash of a user. Raises OSError if the file cannot be read."""
        status = os.stat(self._path)
        signature = (status.st_ino, status.st_mtime_ns, status.st_size)
        if signature != self._signature:
            if status.st_size > _MAX_HTPASSWD:
                raise OSError(f"{self._path} is too large for a password file")
            text = Path(self._path).read_bytes().decode("latin-1")
            self._users = dict(_users_of(text))
            self._signature = signature
        return self._users.get(user)


def _users_of(text: str) -> list[tuple[str, str]]:
    users = []
    for line in text.splitlines():
        user, colon, rest = line.strip().partition(":")
        if colon and user and not user.startswith("#"):
            # Further fields are comments, as in uWSGI and Apache.
            users.append((user, rest.partition(":")[0]))
    return users


def credentials_of(field: str) -> tuple[str, str] | None:
    """The user name and password of an Authorization field, or None.

    Both are bytes in latin-1's clothes, as they were sent.
    """
    scheme, _, encoded = field.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        octets = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = octets.decode("latin-1").partition(":")
    return (user, password) if colon else None


def _single_user(text: str) -> Callable[[str], str | None]:
    user, _, stored = text.encode("utf-8").decode("latin-1").partition(":")
    return lambda name: stored if name == user else None


def _basicauth(failure: Outcome) -> ActionFactory:
    def make(argument: str, kit: Kit) -> Action:
        realm, comma, users = argument.rpartition(",")
        if not comma or not realm or not users:
            # The place is told, what stands there is not: it may be a password.
            raise ConfigError("basicauth needs realm,user:password or realm,file")
        if '"' in realm or "\\" in realm:
            raise ConfigError("the realm of basicauth may not hold quotes")
        # A path may hold a colon, a file that exists is meant as one.
        is_pair = ":" in users and not os.path.exists(users)
        find = _single_user(users) if is_pair else HtpasswdFile(users).stored
        challenge = ("WWW-Authenticate", f'Basic realm="{_dressed(realm)}"')

        def act(visit: Visit) -> Outcome:
            given = credentials_of(visit.variable("HTTP_AUTHORIZATION"))
            if given is not None:
                try:
                    stored = find(given[0])
                    accepted = stored is not None and check_password(given[1], stored)
                except (OSError, ValueError) as exc:
                    kit.report(f"basicauth: {exc}")
                    answer_status(visit.exchange, 500)
                    return Outcome.BREAK
                if accepted:
                    visit.environ["REMOTE_USER"] = given[0]
                    visit.environ["AUTH_TYPE"] = "Basic"
                    return Outcome.NEXT
            if failure is Outcome.BREAK:
                answer(
                    visit.exchange,
                    "401 Authorization Required",
                    b"Unauthorized",
                    [challenge, ("Content-Type", "text/plain")],
                )
            return failure

        return act

    return make


def _dressed(text: str) -> str:
    return text.encode("utf-8").decode("latin-1")


AUTH_ACTIONS: Mapping[str, ActionFactory] = {
    "basicauth": _basicauth(Outcome.BREAK),
    "basicauth-next": _basicauth(Outcome.NEXT),
}

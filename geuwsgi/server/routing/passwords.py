"""Passwords of htpasswd files. Pure.

Understood are MD5 of Apache (``$apr1$``), SHA-1 (``{SHA}``), bcrypt (``$2y$``) where
the ``bcrypt`` package is installed, and clear text. The crypt(3) of the machine is
asked where Python still has it (before 3.13); uWSGI knows only that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from importlib import import_module
from typing import Any

_APR1_DIGITS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def check_password(password: str, stored: str) -> bool:
    """Whether ``password`` is the one that ``stored`` was made from.

    Both are bytes in latin-1's clothes. Raises ValueError for a scheme that cannot
    be checked here.
    """
    for prefix, check in _SCHEMES:
        if stored.startswith(prefix):
            return check(password, stored)
    if len(stored) == 13 or stored.startswith(("$5$", "$6$", "$1$")):
        matches = _check_crypt(password, stored)
        if matches or len(stored) != 13:
            return matches
    return _same(password, stored)


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode("latin-1"), right.encode("latin-1"))


def _check_sha(password: str, stored: str) -> bool:
    digest = hashlib.sha1(password.encode("latin-1")).digest()
    return _same(stored, "{SHA}" + base64.b64encode(digest).decode())


def _check_bcrypt(password: str, stored: str) -> bool:
    try:
        bcrypt: Any = import_module("bcrypt")
    except ImportError:
        raise ValueError(
            "bcrypt passwords need the package 'bcrypt' to be installed"
        ) from None
    # htpasswd writes 2y for what everyone else calls 2b.
    octets = stored.encode("latin-1").replace(b"$2y$", b"$2b$", 1)
    return bool(bcrypt.checkpw(password.encode("latin-1"), octets))


def _check_crypt(password: str, stored: str) -> bool:
    try:
        import crypt
    except ImportError:
        if len(stored) == 13:
            return False  # may as well be clear text of that length
        raise ValueError(
            "crypt passwords cannot be checked with this Python; use htpasswd -m or -B"
        ) from None
    return _same(stored, crypt.crypt(password, stored) or "")


def _check_apr1(password: str, stored: str) -> bool:
    salt = stored.split("$")[2] if stored.count("$") >= 3 else ""
    return _same(stored, apr1(password.encode("latin-1"), salt.encode("latin-1")))


def apr1(password: bytes, salt: bytes) -> str:
    """Apache's variant of the MD5 crypt scheme: a thousand rounds, own alphabet."""
    salt = salt[:8]
    digest = hashlib.md5(password + b"$apr1$" + salt)
    inner = hashlib.md5(password + salt + password).digest()
    for left in range(len(password), 0, -16):
        digest.update(inner[: min(16, left)])
    length = len(password)
    while length:
        digest.update(b"\0" if length & 1 else password[:1])
        length >>= 1
    result = digest.digest()
    for number in range(1000):
        step = hashlib.md5()
        step.update(password if number & 1 else result)
        if number % 3:
            step.update(salt)
        if number % 7:
            step.update(password)
        step.update(result if number & 1 else password)
        result = step.digest()
    text = ""
    for places in ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)):
        high, middle, low = (result[place] for place in places)
        text += _digits(high << 16 | middle << 8 | low, 4)
    return f"$apr1${salt.decode('latin-1')}${text}{_digits(result[11], 2)}"


def _digits(value: int, count: int) -> str:
    return "".join(_APR1_DIGITS[value >> 6 * place & 63] for place in range(count))


_SCHEMES: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
    ("$apr1$", _check_apr1),
    ("{SHA}", _check_sha),
    ("$2y$", _check_bcrypt),
    ("$2a$", _check_bcrypt),
    ("$2b$", _check_bcrypt),
)

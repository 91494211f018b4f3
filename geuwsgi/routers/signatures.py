"""Signatures of announcements: RSA keys and a digest, as uWSGI has them.

``subscriptions-sign-check = SHA256:/etc/keys`` wants the public key of each key in
``/etc/keys/KEY.pem``; ``sign=SHA256:private.pem`` of ``subscribe2`` signs with a
private one. Python's standard library has no RSA: the package ``cryptography`` is
needed for both, and a start without it fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from geuwsgi.errors import ConfigError, GeuwsgiError
from geuwsgi.protocol.subscription import Announcement

#: What uWSGI allows where subscriptions-sign-check-tolerance says nothing.
DAY_S = 86400.0

_DIGESTS = {
    "SHA1": "SHA1",
    "SHA224": "SHA224",
    "SHA256": "SHA256",
    "SHA384": "SHA384",
    "SHA512": "SHA512",
    "MD5": "MD5",
}


class BadSignature(GeuwsgiError):
    """An announcement that was not signed as it must be."""


def _tools(option: str) -> Any:
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
    except ImportError as exc:
        raise ConfigError(
            f"{option}: signatures need the package cryptography: "
            "pip install geuwsgi[signatures]"
        ) from exc
    return hashes, serialization, padding, rsa


def _parse(option: str, text: str) -> tuple[str, str]:
    digest, colon, path = text.partition(":")
    digest = digest.strip().upper().replace("-", "")
    if not colon or not path.strip():
        raise ConfigError(f"{option}: it is digest:path, not {text!r}")
    if digest not in _DIGESTS:
        raise ConfigError(
            f"{option}: unknown digest {digest!r} (known: {', '.join(_DIGESTS)})"
        )
    return _DIGESTS[digest], path.strip()


def make_signer(text: str) -> Callable[[bytes], bytes]:
    """What signs with ``digest:private key``. Raises ConfigError."""
    digest, path = _parse("sign", text)
    hashes, serialization, padding, rsa = _tools("sign")
    try:
        with open(path, "rb") as file:
            key = serialization.load_pem_private_key(file.read(), None)
    except (OSError, ValueError, TypeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise ConfigError(f"sign: cannot use the key {path!r}: {reason}") from exc
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigError(f"sign: {path!r} is no RSA key")
    algorithm = getattr(hashes, digest)()

    def sign(block: bytes) -> bytes:
        signature: bytes = key.sign(block, padding.PKCS1v15(), algorithm)
        return signature

    return sign


class SignatureCheck:
    """Tells announcements of those who hold a key's private half from others.

    ``tolerance_s`` is how far the sender's clock may be from ours; a packet that is
    heard again is refused by who keeps the times (`Subscriptions`).
    """

    def __init__(self, text: str, *, tolerance_s: float = 0.0) -> None:
        """``text`` is ``digest:directory``. Raises ConfigError."""
        digest, directory = _parse("subscriptions-sign-check", text)
        hashes, self._serialization, padding, self._rsa = _tools(
            "subscriptions-sign-check"
        )
        if not os.path.isdir(directory):
            raise ConfigError(
                f"subscriptions-sign-check: {directory!r} is not a directory"
            )
        self._directory = directory
        self._algorithm = getattr(hashes, digest)()
        self._padding = padding.PKCS1v15()
        self._tolerance_s = tolerance_s or DAY_S

    def is_outdated(self, unix: int, unix_now: float) -> bool:
        """Whether what was said at ``unix`` would be refused for its time now."""
        return unix_now - unix > self._tolerance_s

    def check(self, announcement: Announcement, unix_now: float) -> None:
        """Raise BadSignature unless the announcement is signed for its key."""
        if not announcement.signature:
            raise BadSignature("it is not signed")
        if not announcement.unix:
            raise BadSignature("it does not tell its time")
        if abs(unix_now - announcement.unix) > self._tolerance_s:
            raise BadSignature(
                f"its clock is {unix_now - announcement.unix:.0f} seconds from ours"
            )
        key = self._public_key(announcement.key)
        try:
            key.verify(
                announcement.signature,
                announcement.signed,
                self._padding,
                self._algorithm,
            )
        except Exception as exc:  # the package's own kinds, and ValueErrors
            raise BadSignature("its signature is not that of the key") from exc

    def _public_key(self, key: str) -> Any:
        # uWSGI: a key names one file; slashes do not lead elsewhere.
        name = f"{key.replace('/', '_')}.pem"
        try:
            with open(os.path.join(self._directory, name), "rb") as file:
                loaded = self._serialization.load_pem_public_key(file.read())
        except (OSError, ValueError, UnicodeEncodeError) as exc:
            raise BadSignature(f"there is no public key {name!r}") from exc
        if not isinstance(loaded, self._rsa.RSAPublicKey):
            raise BadSignature(f"{name!r} is no RSA key")
        return loaded

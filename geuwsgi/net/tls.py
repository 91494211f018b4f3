"""Certificates: which one a client is shown, and when they are read again.

``ServerContexts`` holds the contexts of one listener. Which certificate a client gets
is decided by the name it asks for (SNI): an exact ``sni`` name, an ``sni-regexp``, a
file of ``sni-dir``, else the listener's own. Renewed files are noticed while serving,
at most once in ``RECHECK_S``; files that cannot be loaded leave the old certificate
in place and a line in the log.

Make the contexts before workers are forked: then a client's session ticket is good for
every worker. Keys that only root may read are taken from copies made while the server
was root (`geuwsgi.net.heldfiles`).
"""

from __future__ import annotations

import os
import re
import ssl
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from geuwsgi.errors import ConfigError
from geuwsgi.net.heldfiles import HeldFiles

RECHECK_S = 5.0
MAX_NAMES = 1024

#: A file of certificates has a few thousand bytes, one of all authorities 250,000.
_MOST_BYTES = 1 << 24

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?", re.ASCII)


@dataclass(frozen=True)
class Certificate:
    """The files of one certificate, as the options write them.

    ``client_ca`` asks clients for a certificate signed by it; with
    ``client_required`` none is let in without.
    """

    certificate: str
    key: str
    ciphers: str = ""
    client_ca: str = ""
    client_required: bool = False


def parse_certificate(text: str, *, option: str) -> Certificate:
    """Parse ``cert,key[,ciphers[,ca]]``; a ``!`` before the ca requires it.

    The key may be left out if it is in the certificate's file. Raises ConfigError.
    """
    parts = [part.strip() for part in text.split(",")]
    if not parts[0] or len(parts) > 4:
        raise ConfigError(f"{option} needs cert,key[,ciphers[,ca]]: {text!r}")
    parts += [""] * (4 - len(parts))
    certificate, key, ciphers, client_ca = parts
    return Certificate(
        certificate,
        key or certificate,
        ciphers,
        client_ca.removeprefix("!"),
        client_ca.startswith("!"),
    )


def parse_sni(value: str, *, option: str) -> tuple[str, Certificate]:
    """Parse ``name cert,key[,ciphers[,ca]]``."""
    name, _, rest = value.strip().partition(" ")
    if not rest.strip():
        raise ConfigError(f"{option} needs a name and cert,key: {value!r}")
    return name, parse_certificate(rest.strip(), option=option)


@dataclass(frozen=True)
class TlsOptions:
    """What all contexts of a server have in common.

    ``protocols`` is what ALPN offers, best first. ``options`` are OpenSSL's option
    bits, added to the defaults. ``held`` has copies of files that cannot be read now.
    """

    sni: tuple[tuple[str, Certificate], ...] = ()
    sni_patterns: tuple[tuple[re.Pattern[str], Certificate], ...] = ()
    sni_dir: str = ""
    sni_dir_ciphers: str = ""
    protocols: tuple[str, ...] = ("http/1.1",)
    options: int = 0
    held: HeldFiles = field(default_factory=HeldFiles, compare=False)


def make_context(certificate: Certificate, options: TlsOptions) -> ssl.SSLContext:
    """Load one certificate. Raises ConfigError naming the file and what is wrong.

    TLS 1.2 and later, no compression, no renegotiation: what OpenSSL and Python make
    of a server context today. Older versions are not offered, whatever the options
    of uWSGI's time say.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= (
        ssl.OP_NO_COMPRESSION
        | getattr(ssl, "OP_NO_RENEGOTIATION", 0)
        | ssl.OP_CIPHER_SERVER_PREFERENCE
        | ssl.Options(options.options)
    )
    chain, key, client_ca = options.held.replace_unreadable(
        certificate.certificate, certificate.key, certificate.client_ca
    )
    _require(chain, key, client_ca)
    try:
        context.load_cert_chain(chain, key, _no_password)
    except (ssl.SSLError, OSError) as exc:
        raise ConfigError(
            f"cannot use certificate {certificate.certificate!r} with key "
            f"{certificate.key!r}: {exc.strerror or exc}"
        ) from exc
    if certificate.ciphers:
        try:
            context.set_ciphers(certificate.ciphers)
        except ssl.SSLError as exc:
            raise ConfigError(f"unknown ciphers: {certificate.ciphers!r}") from exc
    if client_ca:
        try:
            context.load_verify_locations(client_ca)
        except (ssl.SSLError, OSError) as exc:
            raise ConfigError(
                f"cannot use client CA {certificate.client_ca!r}: {exc.strerror or exc}"
            ) from exc
        context.verify_mode = (
            ssl.CERT_REQUIRED if certificate.client_required else ssl.CERT_OPTIONAL
        )
    context.set_alpn_protocols(list(options.protocols))
    return context


def choose_by_name(
    context: ssl.SSLContext,
    choose: Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None],
) -> None:
    """Have ``choose`` called with a connection and the name that its client asks for.

    In a patched process the class of contexts is gevent's, which expects its own
    sockets where here are connections in memory: so its base is told.
    """
    base = next(kind for kind in type(context).__mro__ if kind.__module__ == "_ssl")
    vars(base)["sni_callback"].__set__(context, choose)


def _require(*paths: str) -> None:
    """Raise ConfigError unless all are files that can be read.

    Subscribers name some of them: a pipe would be waited for, a device has no end.
    """
    for path in paths:
        if path:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except (OSError, ValueError) as exc:
                reason = exc.strerror if isinstance(exc, OSError) else exc
                raise ConfigError(f"cannot read {path!r}: {reason}") from exc
            try:
                status = os.fstat(fd)
            finally:
                os.close(fd)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"cannot use {path!r}: it is no regular file")
            if status.st_size > _MOST_BYTES:
                raise ConfigError(f"cannot use {path!r}: {status.st_size} bytes")


def _no_password() -> str:
    # Asking on the terminal would stop a server that starts at boot.
    raise ConfigError("the key is encrypted; a server needs one without a passphrase")


class _Loaded:
    """One context and the state of its files when they were loaded."""

    __slots__ = ("certificate", "context", "refused", "signature")

    def __init__(self, certificate: Certificate, options: TlsOptions) -> None:
        self.certificate = certificate
        self.signature = _signature(certificate)
        self.refused = self.signature
        self.context = make_context(certificate, options)


def _signature(certificate: Certificate) -> tuple[tuple[int, int, int], ...]:
    found = []
    for path in (certificate.certificate, certificate.key, certificate.client_ca):
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            found.append((0, 0, 0))
        else:
            # With the mode: a key may become readable.
            found.append((status.st_ino, status.st_ctime_ns, status.st_size))
    return tuple(found)


class ServerContexts:
    """The contexts of one listener. Raises ConfigError if one cannot be loaded.

    ``report`` is told, in a sentence, of a reload and of one that failed.
    """

    def __init__(
        self,
        default: Certificate,
        options: TlsOptions,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._report = report
        for certificate in (default, *(one for _, one in options.sni)):
            if options.held.is_outdated(certificate.certificate):
                report(
                    f"{certificate.certificate} has changed, but {certificate.key} "
                    "cannot be read without root rights: what the server was started "
                    "with stays; restart it to take the new one"
                )
        self._clock = clock
        self._default = _Loaded(default, options)
        self._names = {
            name.lower(): _Loaded(certificate, options)
            for name, certificate in options.sni
        }
        self._patterns = [
            (pattern, _Loaded(certificate, options))
            for pattern, certificate in options.sni_patterns
        ]
        self._found: dict[str, _Loaded | None] = {}
        self._offered: dict[str, _Loaded] = {}
        #: What was offered and cannot be loaded, with the state of its files.
        self._refused: dict[str, tuple[Certificate, object]] = {}
        self._checked = clock()
        self._watch(self._default)

    @property
    def context(self) -> ssl.SSLContext:
        """The context for a new connection; certificates are looked after here."""
        now = self._clock()
        if now - self._checked >= RECHECK_S:
            self._checked = now
            self._recheck()
        return self._default.context

    def context_for(self, name: str | None) -> ssl.SSLContext:
        """The context for the server name that a client asks for."""
        if not name:
            return self._default.context
        name = name.lower().rstrip(".")
        loaded = self._names.get(name)
        if loaded is None:
            for pattern, candidate in self._patterns:
                if pattern.search(name):
                    loaded = candidate
                    break
        if loaded is None:
            loaded = self._offered.get(name)
        if loaded is None and self._options.sni_dir and _NAME.fullmatch(name):
            loaded = self._from_directory(name)
        return (loaded or self._default).context

    def offer(self, certificates: Mapping[str, Certificate]) -> None:
        """Have these certificates for these names, and no others of earlier calls.

        Names of options go first. What cannot be loaded is told and left out.
        """
        offered: dict[str, _Loaded] = {}
        refused: dict[str, tuple[Certificate, object]] = {}
        for name, certificate in certificates.items():
            loaded = self._offered.get(name)
            if loaded is None or loaded.certificate != certificate:
                state = (certificate, _signature(certificate))
                if self._refused.get(name) == state:
                    refused[name] = state  # told once
                    continue
                try:
                    loaded = _Loaded(certificate, self._options)
                except ConfigError as exc:
                    refused[name] = state
                    self._report(f"certificate of {name}: {exc}")
                    continue
            offered[name] = loaded
        self._offered = offered
        self._refused = refused
        self._watch(self._default)

    def _watch(self, loaded: _Loaded) -> None:
        # With nothing to choose from, the handshake need not come by here.
        if self._names or self._patterns or self._options.sni_dir or self._offered:
            choose_by_name(loaded.context, self._choose)

    def _choose(
        self,
        connection: ssl.SSLObject | ssl.SSLSocket,
        name: str | None,
        context: ssl.SSLContext,
    ) -> None:
        connection.context = self.context_for(name)

    def _from_directory(self, name: str) -> _Loaded | None:
        if name in self._found:
            return self._found[name]
        if len(self._found) >= MAX_NAMES:
            # Clients may ask for any name: forget rather than grow.
            self._found.clear()
        self._found[name] = loaded = self._load_from_directory(name)
        return loaded

    def _load_from_directory(self, name: str) -> _Loaded | None:
        base = os.path.join(self._options.sni_dir, name)
        if not os.path.exists(f"{base}.crt"):
            return None
        client_ca = f"{base}.ca" if os.path.exists(f"{base}.ca") else ""
        certificate = Certificate(
            f"{base}.crt",
            f"{base}.key" if os.path.exists(f"{base}.key") else f"{base}.crt",
            self._options.sni_dir_ciphers,
            client_ca,
        )
        try:
            return _Loaded(certificate, self._options)
        except ConfigError as exc:
            self._report(f"certificate of {name}: {exc}")
            return None

    def _recheck(self) -> None:
        # Names that had no file may have one by now, and the other way round.
        self._found = {
            name: self._refreshed(loaded)
            for name, loaded in self._found.items()
            if loaded is not None and os.path.exists(loaded.certificate.certificate)
        }
        self._default = self._refreshed(self._default)
        self._offered = {
            name: self._refreshed(loaded) for name, loaded in self._offered.items()
        }
        self._names = {
            name: self._refreshed(loaded) for name, loaded in self._names.items()
        }
        self._patterns = [
            (pattern, self._refreshed(loaded)) for pattern, loaded in self._patterns
        ]

    def _refreshed(self, loaded: _Loaded) -> _Loaded:
        certificate = loaded.certificate
        signature = _signature(certificate)
        if signature in (loaded.signature, loaded.refused):
            return loaded
        try:
            fresh = _Loaded(certificate, replace(self._options, held=HeldFiles()))
        except ConfigError as exc:
            loaded.refused = signature
            # Certificate and key are two files: in between they do not match.
            self._report(f"keeping the old certificate: {exc}")
            return loaded
        self._report(f"loaded the new certificate {certificate.certificate}")
        if loaded is self._default:
            self._watch(fresh)
        return fresh


def option_bits(values: Iterable[str]) -> int:
    """Parse the numbers of ``ssl-option``."""
    bits = 0
    for value in values:
        try:
            bits |= int(value, 0)
        except ValueError:
            raise ConfigError(f"ssl-option needs a number: {value!r}") from None
    return bits

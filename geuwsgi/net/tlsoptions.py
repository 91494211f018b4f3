"""From options to the contexts of a listener."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from geuwsgi.errors import ConfigError
from geuwsgi.net.heldfiles import HeldFiles
from geuwsgi.net.tls import (
    Certificate,
    ServerContexts,
    TlsOptions,
    option_bits,
    parse_certificate,
    parse_sni,
)
from geuwsgi.options import Http

_KEYS = {
    "cert": "certificate",
    "crt": "certificate",
    "key": "key",
    "ciphers": "ciphers",
    "clientca": "client_ca",
    "client_ca": "client_ca",
}


def server_contexts(
    kind: str,
    value: str,
    http: Http,
    report: Callable[[str], None],
    *,
    protocols: tuple[str, ...] = ("http/1.1",),
    held: HeldFiles | None = None,
) -> ServerContexts:
    """Load the certificates of a listener of ``kind`` (the option's name).

    ``value`` is the part after the address. Raises ConfigError. Call it before
    workers are forked; what cannot be read any more is taken from ``held``.
    """
    options = _tls_options(http, protocols, held or HeldFiles())
    return ServerContexts(_parse(kind, value), options, report)


def certificate_files(kind: str, value: str, http: Http) -> Iterator[str]:
    """The files that `server_contexts` will read, but for those of sni-dir.

    Raises ConfigError.
    """
    options = _tls_options(http, (), HeldFiles())
    certificates = (_parse(kind, value), *(one for _, one in options.sni))
    for certificate in (*certificates, *(one for _, one in options.sni_patterns)):
        yield certificate.certificate
        yield certificate.key
        if certificate.client_ca:
            yield certificate.client_ca


def _parse(kind: str, value: str) -> Certificate:
    if kind == "https2":
        return _parse_https2(value)
    return parse_certificate(value, option=kind)


def _tls_options(http: Http, protocols: tuple[str, ...], held: HeldFiles) -> TlsOptions:
    return TlsOptions(
        sni=tuple(parse_sni(value, option="sni") for value in http.sni),
        sni_patterns=tuple(_parse_pattern(value) for value in http.sni_regexp),
        sni_dir=http.sni_dir or "",
        sni_dir_ciphers=http.sni_dir_ciphers or "",
        protocols=protocols,
        options=option_bits(http.ssl_option),
        held=held,
    )


def _parse_pattern(value: str) -> tuple[re.Pattern[str], Certificate]:
    pattern, certificate = parse_sni(value, option="sni-regexp")
    try:
        return re.compile(pattern, re.IGNORECASE | re.ASCII), certificate
    except re.error as exc:
        raise ConfigError(
            f"malformed regular expression {pattern!r} of sni-regexp: {exc}"
        ) from None


def _parse_https2(value: str) -> Certificate:
    """Parse ``cert=…,key=…,ciphers=…,clientca=…``; other keys are of SPDY's time."""
    found = {"certificate": "", "key": "", "ciphers": "", "client_ca": ""}
    for item in value.split(","):
        name, equals, text = item.strip().partition("=")
        field = _KEYS.get(name)
        if equals and field:
            found[field] = text
    if not found["certificate"]:
        raise ConfigError(f"https2 needs cert= and key=: {value!r}")
    return Certificate(
        found["certificate"],
        found["key"] or found["certificate"],
        found["ciphers"],
        found["client_ca"].removeprefix("!"),
        found["client_ca"].startswith("!"),
    )

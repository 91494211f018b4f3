"""Where to listen, as uWSGI's socket options write it.

Text becomes one of five small values, nothing is looked up or opened. A value that
cannot be meant is refused in a sentence that names it; uWSGI takes ``:99999`` modulo
65536, ``:http`` as port 0 and an unknown host as every interface.

============================  ==================================================
``:8080``  ``0:8080``         TCP on every IPv4 interface
``8080``                      the same (uWSGI makes a Unix socket named ``8080``)
``host:80``  ``127.0.0.1:0``  TCP; port 0 lets the system choose one
``[::]:80``  ``[::1]:80``     TCP over IPv6; brackets may be left out
``172.*:80``                  TCP on the first interface whose address matches
``/run/app.sock``             a Unix socket; everything without a colon
``@name``  ``\\0name``         a Linux abstract socket
``fd://3``                    a listening socket this process was started with
``=0``                        the first ``shared-socket``
============================  ==================================================
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from geuwsgi.errors import ConfigError

MAX_PORT = 65535
# sun_path of Linux is 108 bytes with the final NUL, or with the leading one of an
# abstract name. The BSDs have 104, but no abstract names and no gevent users here.
MAX_UNIX_NAME = 107

ANY_IPV4 = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and a port. ``host`` is a name or a number, never empty."""

    host: str
    port: int

    @property
    def is_pattern(self) -> bool:
        """Whether the host is to be matched against the machine's interfaces."""
        return "*" in self.host

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 number (a name may still turn out as one)."""
        return ":" in self.host


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket in the file system; relative to the working directory."""

    path: str


@dataclass(frozen=True, slots=True)
class AbstractAddress:
    """A Unix socket that is only a name; without the leading NUL."""

    name: str


@dataclass(frozen=True, slots=True)
class DescriptorAddress:
    """An open listening socket, by its number."""

    fd: int


@dataclass(frozen=True, slots=True)
class SharedAddress:
    """The ``shared-socket`` with this number, counted from 0."""

    index: int


Address = TcpAddress | UnixAddress | AbstractAddress | DescriptorAddress | SharedAddress


def parse_address(text: str, *, abstract: bool = False) -> Address:
    """Return what ``text`` names.

    With ``abstract`` (uWSGI: abstract-socket) a name without a colon is an abstract
    one. Raises ConfigError, without an origin, if it names nothing that could be
    listened on.
    """
    text = text.strip()
    if not text:
        raise ConfigError("the address is empty")
    if text.startswith("fd://"):
        return DescriptorAddress(_parse_number(text[5:], text, "descriptor"))
    if text.startswith("="):
        return SharedAddress(_parse_number(text[1:], text, "shared socket number"))
    if text.startswith("@"):
        return _abstract(text[1:], text)
    if text.startswith(("\0", "\\0")):
        return _abstract(text[1 if text[0] == "\0" else 2 :], text)
    if text.startswith(("/", "./", "../")):
        return _abstract(text, text) if abstract else _unix(text)
    if ":" in text:
        return _parse_tcp(text)
    if text.isascii() and text.isdigit():
        return TcpAddress(ANY_IPV4, _parse_port(text, text))
    return _abstract(text, text) if abstract else _unix(text)


def parse_backend(text: str) -> TcpAddress | UnixAddress | AbstractAddress:
    """Return the address of a server to connect to. Raises ConfigError."""
    address = parse_address(text)
    if not isinstance(address, (TcpAddress, UnixAddress, AbstractAddress)):
        raise ConfigError(f"{text!r} is not the address of a backend")
    return address


def split_tls(text: str) -> tuple[str, str]:
    """Split ``address,certificate,key,…`` after the address.

    The keyval form of ``https2`` (``addr=…,cert=…,key=…``) is put into that order. The
    second part is empty if there is no certificate. For options whose sockets speak TLS.
    """
    if text.lstrip().startswith(_KEYVAL_NAMES):
        pairs = [item.partition("=")[::2] for item in text.split(",")]
        values = {name.strip(): value.strip() for name, value in pairs}
        parts = [
            values.get(name, "") for name in ("cert", "key", "ciphers", "clientca")
        ]
        return values.get("addr", ""), ",".join(parts).rstrip(",")
    address, _, certificate = text.partition(",")
    return address.strip(), certificate.strip()


_KEYVAL_NAMES = tuple(
    f"{name}=" for name in ("addr", "cert", "key", "ciphers", "clientca", "spdy")
)


def match_interface(pattern: str, addresses: Sequence[str]) -> str:
    """Return the first of ``addresses`` that ``pattern`` (``172.*``) matches.

    Raises ConfigError if none does.
    """
    for address in addresses:
        if fnmatch.fnmatchcase(address, pattern):
            return address
    known = ", ".join(addresses) or "none"
    raise ConfigError(
        f"no interface has an address like {pattern!r} (this machine has {known})"
    )


def format_host_port(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 number."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse_tcp(text: str) -> TcpAddress:
    host, _, port_text = text.rpartition(":")
    port = _parse_port(port_text.strip(), text)
    host = host.strip()
    if host.startswith("["):
        if not host.endswith("]") or ":" not in host:
            raise ConfigError(f"malformed IPv6 address in {text!r}")
        host = host[1:-1]
    elif host.startswith(":") and host.strip(":") == "" and len(host) != 2:
        raise ConfigError(f"malformed address {text!r}: one colon too many")
    if any(character.isspace() or character in "/[]" for character in host):
        raise ConfigError(f"malformed host {host!r} in the address {text!r}")
    if host in {"", "0", "*"}:
        host = ANY_IPV4
    return TcpAddress(host, port)


def _parse_port(text: str, whole: str) -> int:
    if not text:
        raise ConfigError(f"the address {whole!r} has no port")
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"malformed port {text!r} in the address {whole!r}")
    port = int(text) if len(text) < 20 else MAX_PORT + 1
    if port > MAX_PORT:
        raise ConfigError(
            f"port {text} in the address {whole!r} is out of range (0 to {MAX_PORT})"
        )
    return port


def _parse_number(text: str, whole: str, noun: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ConfigError(f"malformed {noun} in the address {whole!r}")
    return int(text)


def _unix(path: str) -> UnixAddress:
    if "\0" in path:
        raise ConfigError(f"the socket path {path!r} contains a NUL")
    size = len(path.encode("utf-8", "surrogateescape"))
    if size > MAX_UNIX_NAME:
        raise ConfigError(
            f"the socket path {path!r} is too long ({size} bytes, at most"
            f" {MAX_UNIX_NAME})"
        )
    return UnixAddress(path)


def _abstract(name: str, whole: str) -> AbstractAddress:
    size = len(name.encode("utf-8", "surrogateescape"))
    if not name:
        raise ConfigError(f"the abstract socket {whole!r} has no name")
    if size > MAX_UNIX_NAME:
        raise ConfigError(
            f"the abstract socket name {whole!r} is too long ({size} bytes, at most"
            f" {MAX_UNIX_NAME})"
        )
    return AbstractAddress(name)

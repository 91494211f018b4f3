"""The client behind trusted proxies, in the variables applications look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geuwsgi.protocol.forwarded import (
    Hop,
    TrustedProxies,
    client_of,
    parse_forwarded,
    parse_x_forwarded_for,
)

if TYPE_CHECKING:
    from geuwsgi.server.exchange import Exchange


class Forwarding:
    """A stage that answers nothing: it corrects who asks.

    If the peer is trusted, REMOTE_ADDR becomes the client's address, the scheme and
    the host what the proxy said they were. If it is not, its ``Forwarded`` and
    ``X-Forwarded-*`` fields are taken away, so that no application believes them.
    """

    __slots__ = ("_trusted",)

    _FIELDS = (
        *("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"),
        *("HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_SSL", "HTTP_X_FORWARDED_PORT"),
    )

    def __init__(self, trusted: TrustedProxies) -> None:
        self._trusted = trusted

    def __call__(self, exchange: Exchange) -> bool:
        """Correct the exchange's environ; False."""
        environ = exchange.environ
        peer = environ.get("REMOTE_ADDR", "")
        if not self._trusted.trusts(peer):
            for name in self._FIELDS:
                environ.pop(name, None)
            return False
        client = client_of(peer, self._hops(environ), self._trusted)
        if client is None:
            return False
        environ["REMOTE_ADDR"] = client.address
        environ.pop("REMOTE_PORT", None)
        scheme = client.scheme.lower()
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme
            if scheme == "https":
                environ["HTTPS"] = "on"
            else:
                environ.pop("HTTPS", None)
        if client.host:
            environ["HTTP_HOST"] = client.host
        return False

    @staticmethod
    def _hops(environ: dict[str, object]) -> list[Hop]:
        field = environ.get("HTTP_FORWARDED")
        if field:
            return parse_forwarded(str(field))
        field = environ.get("HTTP_X_FORWARDED_FOR")
        if not field:
            return []

        def last(name: str) -> str:
            return str(environ.get(name, "")).rpartition(",")[2].strip()

        return parse_x_forwarded_for(
            str(field),
            scheme=last("HTTP_X_FORWARDED_PROTO"),
            host=last("HTTP_X_FORWARDED_HOST"),
        )

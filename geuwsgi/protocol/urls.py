"""URLs as the log may show them. Pure."""

from __future__ import annotations


def without_secrets(url: str) -> str:
    """Return ``url`` with ``***`` for who logs in, and for its query.

    All before the last ``@`` is left out, the scheme excepted: a password may hold
    slashes. Where a question mark stands before it, nobody knows what is the password,
    and only the scheme is left. A text that is no URL is treated the same way.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    login, at, place = rest.rpartition("@")
    if "?" in login:
        return f"{scheme}{separator}***"
    place, question, _ = place.partition("?")
    shown_login, shown_query = "***@" if at else "", "?***" if question else ""
    return f"{scheme}{separator}{shown_login}{place}{shown_query}"

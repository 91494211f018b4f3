"""Regular expressions of the configuration, searched in what a client sent.

uWSGI's are PCRE; ``re`` reads nearly all of them. Bytes of a request come in latin-1
clothes, so classes and case are ASCII's, as in PCRE without its UTF mode.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from geuwsgi.errors import ConfigError, RemoteProtocolError
from geuwsgi.server.ambiguity import EXPONENTIAL, degree_of

# PCRE's spelling → ours. The first alternative keeps escaped characters whole.
_PCRE = re.compile(
    r"\\\\|\\.|\(\?<(?=[A-Za-z_])|\[\[:\^?[a-z]+:\]|\[:\^?[a-z]+:\]", re.S
)
_SPELLINGS = {
    "(?<": "(?P<",
    r"\z": r"\Z",
    r"\Z": r"(?=\n?\Z)",
    r"\h": r"[ \t]",
    r"\R": r"(?:\r\n|\n|\r|\x0b|\x0c|\x85)",
}
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
}


def _respell(match: re.Match[str]) -> str:
    text = match[0]
    if text.startswith("["):
        opening = "[" if text.startswith("[[") else ""
        name = text.strip("[:]")
        if name in _CLASSES:
            return opening + _CLASSES[name]
        return text
    return _SPELLINGS.get(text, text)


#: Steps that one search may take at the worst, about a quarter of a second.
MAX_STEPS = 50_000_000


class Pattern:
    """A compiled pattern. ``search`` is that of ``re``, for texts up to ``limit``.

    Texts of clients that are longer than the pattern can be searched for in bounded
    time are refused with RemoteProtocolError, not taken for a mismatch: a rule that
    keeps somebody out must not be passed by sending more.
    """

    __slots__ = ("limit", "regex", "search")

    def __init__(self, regex: re.Pattern[str], limit: int) -> None:
        self.regex = regex
        self.limit = limit
        self.search: Callable[[str], re.Match[str] | None] = (
            self._search_bounded if limit else regex.search
        )

    def _search_bounded(self, text: str) -> re.Match[str] | None:
        if len(text) > self.limit:
            raise RemoteProtocolError(
                f"{len(text)} characters are too many to be searched for "
                f"{self.regex.pattern!r}",
                414,
            )
        return self.regex.search(text)


def compile_pattern(text: str) -> Pattern:
    """Compile a PCRE regular expression of the configuration.

    Raises ConfigError with the place of the mistake, and for patterns that a client
    could have searched for ever.
    """
    octets = text.encode("utf-8", "surrogateescape").decode("latin-1")
    try:
        regex = re.compile(_PCRE.sub(_respell, octets), re.ASCII)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ConfigError(f"malformed regular expression {text!r}: {exc}") from None
    degree = degree_of(regex)
    if degree == EXPONENTIAL:
        raise ConfigError(
            f"regular expression {text!r} matches the same text in so many ways that "
            "a request could stop the server; do not repeat what repeats"
        )
    if degree == 1:
        return Pattern(regex, 0)
    return Pattern(regex, int((MAX_STEPS * math.factorial(degree)) ** (1 / degree)))

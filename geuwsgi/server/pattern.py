"""Regular expressions of the configuration, searched in what a client sent.

uWSGI's are PCRE; ``re`` reads nearly all of them. Bytes of a request come in latin-1
clothes, so classes and case are ASCII's, as in PCRE without its UTF mode.
"""

from __future__ import annotations

import re

from geuwsgi.errors import ConfigError

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


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile a PCRE regular expression of the configuration.

    Raises ConfigError with the place of the mistake.
    """
    octets = text.encode("utf-8", "surrogateescape").decode("latin-1")
    try:
        return re.compile(_PCRE.sub(_respell, octets), re.ASCII)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ConfigError(f"malformed regular expression {text!r}: {exc}") from None

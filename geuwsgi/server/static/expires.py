"""When a static file expires: the rules of ``static-expires*``.

uWSGI adds one ``Expires`` for each family of rules that matches, so a file can get
three that disagree. Here the most particular family that matches decides: file name,
then URI, then PATH_INFO, then media type; within a family the first rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from geuwsgi.errors import ConfigError


@dataclass(frozen=True)
class Subject:
    """What the rules look at."""

    filename: str
    uri: str
    path_info: str
    media_type: str | None
    mtime: int


@dataclass(frozen=True)
class ExpiresRule:
    """One line of configuration."""

    matches: Callable[[Subject], bool]
    seconds: int
    since_mtime: bool

    def expires_at(self, subject: Subject, now: float) -> float:
        """The moment, in seconds since the epoch."""
        return (subject.mtime if self.since_mtime else now) + self.seconds


def seconds_of(text: str, option: str) -> int:
    """Parse the number of an expires rule."""
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{option} needs a number of seconds: {text!r}") from None


def type_rule(value: str, option: str, *, since_mtime: bool) -> ExpiresRule:
    """Parse ``type=seconds``. ``image/*`` stands for all images."""
    media_type, equals, seconds = value.partition("=")
    if not equals:
        raise ConfigError(f"{option} needs type=seconds: {value!r}")
    media_type = media_type.strip().lower()
    if media_type.endswith("/*"):
        family = media_type[:-1]
        return ExpiresRule(
            lambda subject: (subject.media_type or "").startswith(family),
            seconds_of(seconds, option),
            since_mtime,
        )
    return ExpiresRule(
        lambda subject: subject.media_type == media_type,
        seconds_of(seconds, option),
        since_mtime,
    )


def pattern_rule(
    value: str,
    option: str,
    *,
    attribute: str,
    since_mtime: bool,
    compile_pattern: Callable[[str], Callable[[str], object]],
) -> ExpiresRule:
    """Parse ``regexp seconds``; the regexp may contain blanks.

    ``attribute`` is the field of ``Subject`` it is searched in.
    """
    pattern, _, seconds = value.strip().rpartition(" ")
    if not pattern:
        raise ConfigError(f"{option} needs a regexp and seconds: {value!r}")
    search = compile_pattern(pattern.strip())
    return ExpiresRule(
        lambda subject: bool(search(getattr(subject, attribute))),
        seconds_of(seconds, option),
        since_mtime,
    )


class ExpiresRules:
    """All rules, the most particular family first."""

    __slots__ = ("_rules",)

    def __init__(self, rules: Iterable[ExpiresRule]) -> None:
        self._rules = tuple(rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def expires_at(self, subject: Subject, now: float) -> float | None:
        """When ``subject`` expires, or None if no rule matches."""
        for rule in self._rules:
            if rule.matches(subject):
                return rule.expires_at(subject, now)
        return None

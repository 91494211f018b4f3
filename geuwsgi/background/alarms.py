"""Alarms: what happens when something deserves attention.

``alarm = name plugin:arguments`` defines one. Any process raises it by putting its name
and a message into a box that the master reads; the master runs it. Pure decisions here,
the doing is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError

if TYPE_CHECKING:
    from geuwsgi.shared.mailboxes import Mailboxes

LARGEST_MESSAGE = 8192
PLUGINS = ("cmd", "log", "mule", "signal")


@dataclass(frozen=True)
class Alarm:
    """One alarm. ``plugin`` says what ``argument`` is."""

    name: str
    plugin: str
    argument: str

    @classmethod
    def parse(cls, text: str) -> Alarm:
        """Return the alarm of a line. Raises ConfigError."""
        name, _, action = text.strip().partition(" ")
        plugin, colon, argument = action.strip().partition(":")
        if not name or not plugin:
            raise ConfigError(f"an alarm is: name plugin:arguments, not {text!r}")
        if plugin not in PLUGINS:
            raise ConfigError(
                f"alarm {name}: there is no plugin {plugin!r}, only"
                f" {', '.join(PLUGINS)}; cmd gives any program the message"
            )
        if plugin in ("mule", "signal") and argument and not argument.isdecimal():
            raise ConfigError(f"alarm {name}: {argument!r} is no number")
        if plugin in ("cmd", "signal") and not (colon and argument):
            raise ConfigError(f"alarm {name}: {plugin} wants an argument")
        return cls(name, plugin, argument)


def encode_raise(name: str, message: bytes) -> bytes:
    """Return what is put into the master's box."""
    return name.encode() + b"\0" + message[:LARGEST_MESSAGE]


def raiser(boxes: Mailboxes | None) -> Callable[[str, str], None] | None:
    """Return what raises an alarm by name; None where there is no way to the master."""
    if boxes is None:
        return None
    messages = boxes.alarm_messages

    def raise_alarm(name: str, text: str) -> None:
        messages.send(encode_raise(name, text.encode()))

    return raise_alarm


def decode_raise(octets: bytes) -> tuple[str, bytes]:
    name, _, message = octets.partition(b"\0")
    return name.decode("utf-8", "replace"), message


@dataclass
class Alarms:
    """Runs alarms, the same one with the same message once in ``frequency_s``."""

    alarms: dict[str, Alarm]
    actions: dict[str, Callable[[Alarm, bytes], None]]
    frequency_s: float = 3.0
    _last: dict[tuple[str, bytes], float] = field(default_factory=dict)

    @classmethod
    def parse(
        cls,
        lines: Iterable[str],
        actions: dict[str, Callable[[Alarm, bytes], None]],
        frequency_s: float = 3.0,
    ) -> Alarms:
        """Return the alarms of the lines. Raises ConfigError."""
        alarms = [Alarm.parse(line) for line in lines]
        return cls({alarm.name: alarm for alarm in alarms}, actions, frequency_s)

    def run(self, name: str, message: bytes, now: float) -> bool:
        """Run an alarm; False if there is none or it ran a moment ago."""
        alarm = self.alarms.get(name)
        if alarm is None:
            return False
        key = name, message
        last = self._last.get(key)
        if last is not None and now - last < self.frequency_s:
            return False
        self._last = {
            known: when
            for known, when in self._last.items()
            if now - when < self.frequency_s
        }
        self._last[key] = now
        self.actions[alarm.plugin](alarm, message)
        return True


# What alarms write themselves must not raise them again.
_OWN_LINES = (b"ALARM:", b"[uwsgi-alarm")


@dataclass(frozen=True)
class LogAlarm:
    """Which alarms a line of ``alarm-log`` or ``not-alarm-log`` is about."""

    names: tuple[str, ...]
    pattern: re.Pattern[bytes]

    @classmethod
    def parse(cls, text: str, option: str) -> LogAlarm:
        """Return what ``alarm[,alarm] regexp`` says. Raises ConfigError."""
        names, _, pattern = text.strip().partition(" ")
        if not pattern.strip():
            raise ConfigError(f"{option} is: alarm regexp, not {text!r}")
        try:
            compiled = re.compile(pattern.strip().encode())
        except re.error as exc:
            raise ConfigError(f"{option}: {pattern!r}: {exc}") from exc
        return cls(tuple(filter(None, names.split(","))), compiled)


class LogAlarms:
    """Finds the alarms that lines of the log raise.

    A line that ``not-alarm-log`` matches does not raise the alarms named there,
    wherever the line of the option stands.
    """

    def __init__(self, raising: Iterable[str], sparing: Iterable[str]) -> None:
        """Raises ConfigError."""
        self._raising = [LogAlarm.parse(text, "alarm-log") for text in raising]
        self._sparing = [LogAlarm.parse(text, "not-alarm-log") for text in sparing]

    def __bool__(self) -> bool:
        return bool(self._raising)

    def names(self) -> Iterator[str]:
        """Yield every alarm that is named, for checking."""
        for one in (*self._raising, *self._sparing):
            yield from one.names

    def raised_by(self, line: bytes) -> list[str]:
        """Return the alarms to run for a line, in the order of the options."""
        if line.startswith(_OWN_LINES):
            return []
        found = [
            name
            for one in self._raising
            if one.pattern.search(line)
            for name in one.names
        ]
        if not found:
            return []
        spared = {
            name
            for one in self._sparing
            if one.pattern.search(line)
            for name in one.names
        }
        return [name for name in dict.fromkeys(found) if name not in spared]

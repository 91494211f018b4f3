from __future__ import annotations

import pytest

from geuwsgi.background.alarms import (
    PLUGINS,
    Alarm,
    Alarms,
    LogAlarms,
    decode_raise,
    encode_raise,
)
from geuwsgi.errors import ConfigError


def make(*lines: str) -> tuple[Alarms, list[tuple[str, bytes]]]:
    ran: list[tuple[str, bytes]] = []

    def run(alarm: Alarm, message: bytes) -> None:
        ran.append((alarm.argument, message))

    return Alarms.parse(lines, dict.fromkeys(PLUGINS, run), 3.0), ran


def test_an_alarm_runs_its_plugin() -> None:
    alarms, ran = make("one cmd:cat > /tmp/x:y", "two signal:17", "three log:")
    assert alarms.run("one", b"text", 0.0)
    assert alarms.run("two", b"", 0.0)
    assert not alarms.run("four", b"", 0.0)
    assert ran == [("cat > /tmp/x:y", b"text"), ("17", b"")]


def test_the_same_alarm_and_message_wait() -> None:
    alarms, ran = make("one log:")
    assert alarms.run("one", b"a", 0.0)
    assert alarms.run("one", b"b", 1.0)
    assert not alarms.run("one", b"a", 2.9)
    assert alarms.run("one", b"a", 3.0)
    assert len(ran) == 3


@pytest.mark.parametrize(
    "line",
    [
        "",
        "one",
        "one xmpp:x",
        "one cmd",
        "one cmd:",
        "one mule:x",
        "one signal:",
        "one :x",
    ],
)
def test_wrong_lines_are_refused(line: str) -> None:
    with pytest.raises(ConfigError):
        Alarm.parse(line)


def test_raising_goes_through_a_box() -> None:
    assert decode_raise(encode_raise("näme", b"te\0xt")) == ("näme", b"te\0xt")
    assert len(encode_raise("x", b"y" * 100_000)) < 10_000


def test_lines_of_the_log_raise_alarms() -> None:
    alarms = LogAlarms(
        ["one,two ^ERROR", "two disk", "three [0-9]+ ms"],
        ["two harmless", "other x"],
    )
    assert alarms.raised_by(b"ERROR on the disk\n") == ["one", "two"]
    assert alarms.raised_by(b"ERROR, but harmless\n") == ["one"]
    assert alarms.raised_by(b"ERROR 17 ms\n") == ["one", "two", "three"]
    assert alarms.raised_by(b"no ERROR\n") == []
    assert alarms.raised_by(b"ALARM: the disk\n") == []
    assert list(LogAlarms(["a,b x"], ["c y"]).names()) == ["a", "b", "c"]
    assert not LogAlarms([], ["c y"])


@pytest.mark.parametrize("line", ["", "one", "one ", "one (x"])
def test_wrong_lines_about_the_log_are_refused(line: str) -> None:
    with pytest.raises(ConfigError, match="alarm-log"):
        LogAlarms([line], [])

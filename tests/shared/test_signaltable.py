from __future__ import annotations

import os

import pytest

from geuwsgi.shared.signaltable import (
    Cron,
    SignalTable,
    TableFull,
    Timer,
    WatchedFile,
)


def test_a_registered_signal_has_a_target() -> None:
    table = SignalTable.create()
    assert table.target(5) is None
    table.register(5, b"workers")
    table.register(255, b"")
    assert table.target(5) == b"workers"
    assert table.target(255) == b""
    table.register(5, b"mule1")
    assert table.target(5) == b"mule1"


@pytest.mark.parametrize("target", [b"x" * 64, b"a\0b"])
def test_an_impossible_target_is_refused(target: bytes) -> None:
    with pytest.raises(ValueError, match="too long"):
        SignalTable.create().register(1, target)


def test_entries_come_back_in_order_in_another_process() -> None:
    table = SignalTable.create()
    table.add_timer(Timer(1, 1000))
    table.add_timer(Timer(2, 500, 3), rb=True)
    table.add_timer(Timer(3, 2000))
    table.add_cron(Cron(4, -1, 5, -2, 12, 7))
    table.add_file(WatchedFile(5, b"/some/where"))
    wire = table.to_wire()
    wire["region"]["fd"] = os.dup(wire["region"]["fd"])
    other = SignalTable.from_wire(wire)
    assert other.timers() == [Timer(1, 1000), Timer(3, 2000)]
    assert other.rb_timers() == [Timer(2, 500, 3)]
    assert other.crons() == [Cron(4, -1, 5, -2, 12, 7)]
    assert other.files() == [WatchedFile(5, b"/some/where")]


def test_there_is_room_for_64_of_each() -> None:
    table = SignalTable.create()
    for number in range(64):
        table.add_timer(Timer(number, 1))
        table.add_file(WatchedFile(number, b"x" * 4095))
    with pytest.raises(TableFull, match="there are 64 already"):
        table.add_timer(Timer(1, 1))
    table.add_timer(Timer(1, 1), rb=True)
    with pytest.raises(TableFull):
        table.add_file(WatchedFile(1, b"x"))
    with pytest.raises(ValueError, match="too long"):
        SignalTable.create().add_file(WatchedFile(1, b"x" * 4096))
    assert table.files()[63] == WatchedFile(63, b"x" * 4095)

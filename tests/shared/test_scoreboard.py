from __future__ import annotations

import os

import pytest

from geuwsgi.shared.scoreboard import (
    ACCEPTING,
    CONNECTIONS,
    FIELDS,
    PID,
    REQUESTS,
    Scoreboard,
)


def test_what_one_process_writes_another_one_reads() -> None:
    board = Scoreboard.create(3)
    try:
        pid = os.fork()
        if pid == 0:
            view = Scoreboard.attach(board.fileno).slot(1).view
            view[PID] = 77
            view[REQUESTS] += 5
            os._exit(0)
        os.waitpid(pid, 0)
        assert board.row(1)[PID] == 77
        assert board.row(1)[REQUESTS] == 5
        assert [row[PID] for row in board.rows()] == [77]
    finally:
        board.close()


def test_slots_do_not_touch_each_other() -> None:
    board = Scoreboard.create(4)
    board.slot(1).view[:] = memoryview(b"\x01" * FIELDS * 8).cast("q")
    assert not any(board.row(0))
    assert not any(board.row(2))
    board.close()


def test_a_cleared_slot_is_all_zeros() -> None:
    board = Scoreboard.create(2)
    slot = board.slot(1)
    slot.view[REQUESTS] = 9
    slot.clear()
    assert not any(slot.view)
    board.close()


def test_only_accepting_workers_count_for_the_least_connections() -> None:
    board = Scoreboard.create(3)
    assert board.least_connections() == 0
    for index, (accepting, connections) in enumerate(((1, 9), (0, 1), (1, 4))):
        board.row(index)[ACCEPTING] = accepting
        board.row(index)[CONNECTIONS] = connections
    assert board.least_connections() == 4
    board.close()


def test_another_file_is_not_taken_for_a_scoreboard() -> None:
    for length in (3, 4096):
        fileno = os.memfd_create("other")
        os.truncate(fileno, length)
        with pytest.raises(ValueError, match="not a scoreboard"):
            Scoreboard.attach(fileno)
        os.close(fileno)


def test_a_slot_outside_the_region_is_refused() -> None:
    board = Scoreboard.create(1)
    with pytest.raises(IndexError):
        board.slot(1)
    board.close()
    with pytest.raises(ValueError, match="at least one slot"):
        Scoreboard.create(0)

"""Notes that processes leave for each other."""

from __future__ import annotations

import os

import pytest

from geuwsgi.shared.notebooks import Notebooks, copy_note


@pytest.fixture
def notes() -> Notebooks:
    return Notebooks.create(["http", "fastrouter"])


def test_a_note_is_read_by_another_process(notes: Notebooks) -> None:
    wire = [{**entry, "fd": os.dup(entry["fd"])} for entry in notes.to_wire()]
    other = Notebooks.from_wire(wire)
    before = other.stamp(1)
    assert notes.write(1, b"hello")
    assert other.read(1) == b"hello"
    assert other.read(0) == b""
    assert other.stamp(1) != before
    assert other.number("fastrouter") == 1
    other.close()
    notes.close()


def test_a_damaged_note_reads_as_nothing(notes: Notebooks) -> None:
    notes.write(0, b"hello")
    notes._regions[0].memory[12] = ord("j")
    assert notes.read(0) == b""
    notes._regions[0].memory[:8] = b"\xff" * 8
    assert notes.read(0) == b""
    notes.close()


def test_a_note_that_is_too_long_leaves_the_old_one(notes: Notebooks) -> None:
    notes.write(0, b"old")
    assert not notes.write(0, bytes(5 << 20))
    assert notes.read(0) == b"old"
    notes.close()


def test_notes_are_carried_over(notes: Notebooks) -> None:
    other = Notebooks.create(["fastrouter", "rawrouter"])
    notes.write(1, b"nodes")
    for name in ("http", "fastrouter", "rawrouter"):
        copy_note(notes, other, name)
    assert other.read(0) == b"nodes"
    other.close()
    notes.close()

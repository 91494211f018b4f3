from __future__ import annotations

from typing import Any

from geuwsgi.server.crowd import Crowd


class Door:
    def __init__(self, most: int = 0, most_per_address: int = 0) -> None:
        self.told: list[str] = []
        self.crowd = Crowd(
            most,
            most_per_address,
            full=lambda: self.told.append("full"),
            room=lambda: self.told.append("room"),
            report=self.told.append,
        )

    def join(self, address: str = "") -> Any:
        connection: Any = object()
        self.crowd.joins(connection, address)
        return connection


def test_full_and_room_are_told_once_each() -> None:
    door = Door(most=2)
    door.join()
    assert not door.crowd.is_full
    second = door.join()
    third = door.join()  # accepted in the same turn
    assert door.crowd.is_full
    door.crowd.leaves(third)
    assert door.told == ["full"]
    door.crowd.leaves(second)
    assert door.told == ["full", "room"]
    assert not door.crowd.is_full


def test_an_address_has_its_own_limit() -> None:
    door = Door(most_per_address=2)
    first = door.join("a")
    door.join("a")
    assert not door.crowd.has_room_for("a")
    assert not door.crowd.has_room_for("a")
    assert door.crowd.has_room_for("b")
    assert len(door.told) == 1, "said once"
    door.crowd.leaves(first)
    assert door.crowd.has_room_for("a")


def test_front_servers_have_no_limit_of_their_own() -> None:
    door = Door(most_per_address=1)
    for _ in range(5):
        door.join("")
    assert door.crowd.has_room_for("a")

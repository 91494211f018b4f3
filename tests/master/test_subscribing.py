"""When an instance announces itself, and when it takes that back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.master.subscribing import SubscribingDuty
from geuwsgi.protocol.subscription import Announcement, decode_announcement
from geuwsgi.routers.announcing import Target
from tests.master.desk import PaperDesk


class Router:
    """The socket of a subscription server."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.address = self._socket.getsockname()

    def heard(self) -> list[str]:
        """What came since the last call: ``+key`` and ``-key``."""
        found: list[str] = []
        while True:
            try:
                told = decode_announcement(self._socket.recv(9999))
            except TimeoutError:
                return found
            found.append(f"{'-' if told.leaves else '+'}{told.key}")

    def target(self, key: str, **more: str) -> Target:
        told = Announcement(key, "127.0.0.1:1")
        return Target(key, socket.AF_INET, self.address, told, **more)  # type: ignore[arg-type]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def router() -> Iterator[Router]:
    made = Router()
    yield made
    made.close()


def make_duty(
    *targets: Target, log: list[str] | None = None, **more: Any
) -> SubscribingDuty:
    say = (log if log is not None else []).append
    return SubscribingDuty(targets, say, every_s=10, cores=4, **more)


def test_it_is_announced_when_it_serves_and_taken_back_when_it_leaves(
    router: Router,
) -> None:
    desk = PaperDesk()
    duty = make_duty(router.target("a"), router.target("b"))
    duty.begin(desk)
    duty.tick(desk.now())
    assert router.heard() == []
    duty.serving()
    now = duty.next_deadline()
    duty.tick(now)
    duty.tick(now + 5)
    assert router.heard() == ["+a", "+b"]
    duty.tick(now + 10)
    assert router.heard() == ["+a", "+b"]
    desk.ends = True
    assert duty.next_deadline() == 0.0  # at once
    duty.tick(now + 11)
    duty.tick(now + 30)
    duty.end()
    assert router.heard() == ["-a", "-b"]


def test_a_reload_goes_on_and_takes_back_what_is_no_more(router: Router) -> None:
    desk = PaperDesk()
    duty = make_duty(router.target("a"), router.target("b"))
    duty.begin(desk)
    duty.serving()
    duty.tick(duty.next_deadline())
    router.heard()
    duty.follow(make_duty(router.target("b"), router.target("c")))
    duty.tick(desk.now())
    assert router.heard() == ["-a", "+b", "+c"]
    duty.follow(make_duty(router.target("b"), says_goodbye_at_reload=True))
    duty.follow(make_duty(router.target("b")))
    assert router.heard() == ["-c", "-b"]


def test_the_operator_turns_it_on_and_off(router: Router) -> None:
    desk = PaperDesk()
    duty = make_duty(router.target("a"), starts_silent=True)
    duty.begin(desk)
    duty.serving()
    duty.tick(duty.next_deadline())
    assert router.heard() == []
    duty.toggle_subscriptions()
    assert router.heard() == ["+a"]
    duty.toggle_subscriptions()
    assert router.heard() == ["-a"]
    duty.end()
    assert router.heard() == []


def test_a_file_may_be_wanted(router: Router, tmp_path: Path) -> None:
    desk = PaperDesk()
    duty = make_duty(router.target("a", check=str(tmp_path / "up")))
    duty.begin(desk)
    duty.serving()
    duty.tick(duty.next_deadline())
    assert router.heard() == []
    (tmp_path / "up").touch()
    duty.tick(duty.next_deadline())
    assert router.heard() == ["+a"]


def test_a_server_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    log: list[str] = []
    told = Announcement("a", "127.0.0.1:1")
    target = Target("/no:a", socket.AF_UNIX, str(tmp_path / "no"), told)
    duty = make_duty(target, log=log)
    duty.begin(PaperDesk())
    duty.serving()
    for _ in range(3):
        duty.tick(duty.next_deadline())
    assert log == ["nobody takes the announcement of /no:a"]

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from geuwsgi.background.channels import LARGEST_MESSAGE, Channels
from geuwsgi.shared.broadcast import Broadcast
from tests.background.eventually import eventually
from tests.cache.redisserver import RedisServer


@pytest.fixture
def broadcast() -> Iterator[Broadcast]:
    broadcast = Broadcast.create(4)
    yield broadcast
    broadcast.close()


def begin(broadcast: Broadcast | None, url: str = "") -> Channels:
    channels = Channels(broadcast, url)
    channels.enter_process()
    return channels


def test_everybody_hears_what_is_published(broadcast: Broadcast) -> None:
    one, other = begin(broadcast), begin(broadcast)
    room = one.channel("room").subscribe()
    same = other.channel(b"room").subscribe()
    elsewhere = one.channel("elsewhere").subscribe()
    other.channel("room").publish("first")
    one.channel("room").publish(b"second")
    for subscription in (room, same):
        assert subscription.get(20) == b"first"
        assert subscription.get(20) == b"second"
    assert elsewhere.get(0.001) is None
    one.close()
    other.close()


def test_another_process_hears_it(broadcast: Broadcast) -> None:
    channels = Channels(broadcast)
    heard: list[bytes] = []
    # Subscribed before the fork: each process hears for itself.
    channels.channel("room").subscribe(heard.append)
    pid = os.fork()
    if not pid:
        gevent.get_hub().destroy(destroy_loop=True)
        channels.enter_process()
        channels.channel("ready").publish("yes")
        eventually(lambda: heard == [b"hello"])
        channels.channel("ready").publish("done")
        os._exit(0)
    mine = begin(broadcast)
    ready = mine.channel("ready").subscribe()
    with gevent.Timeout(20):
        while ready.get(0.05) != b"done":
            if not heard:
                mine.channel("room").publish("hello")
                heard.append(b"sent")
    assert os.waitpid(pid, 0)[1] == 0
    mine.close()


def test_a_box_of_a_dead_process_is_used_again(broadcast: Broadcast) -> None:
    for _ in range(6):
        pid = os.fork()
        if not pid:
            os._exit(broadcast.claim() is None)
        assert os.waitpid(pid, 0)[1] == 0
    # Messages for the dead are not heard by who comes after.
    Channels(broadcast).channel("room").publish("old")
    channels = begin(broadcast)
    room = channels.channel("room").subscribe()
    channels.channel("room").publish("new")
    assert room.get(20) == b"new"
    channels.close()


def test_boxes_are_as_many_as_there_are(broadcast: Broadcast) -> None:
    boxes = [broadcast.claim() for _ in range(5)]
    assert boxes[-1] is None
    assert boxes[0] is not None
    broadcast.give_back(boxes[0])
    assert broadcast.claim() is boxes[0]


def test_a_slow_subscriber_loses_the_oldest(broadcast: Broadcast) -> None:
    channels = begin(broadcast)
    room = channels.channel("room").subscribe(limit=3)
    for number in range(5):
        channels.channel("room").publish(str(number))
    eventually(lambda: room.lost == 2)
    assert [room.get(20) for _ in range(3)] == [b"2", b"3", b"4"]
    channels.close()


def test_closing_ends_the_iteration(broadcast: Broadcast) -> None:
    channels = begin(broadcast)
    with channels.channel("room").subscribe() as room:
        heard = gevent.spawn(list, room)
        channels.channel("room").publish("a")
        channels.channel("room").publish("b")
        eventually(lambda: room._queue.qsize() == 0 and not heard.ready())
        gevent.sleep(0.01)
    assert heard.get(timeout=20) == [b"a", b"b"]
    room.close()
    channels.channel("room").publish("nobody hears")
    channels.close()


def test_a_failing_callback_stops_nobody(
    broadcast: Broadcast, capfd: pytest.CaptureFixture[str]
) -> None:
    channels = begin(broadcast)

    def fail(message: bytes) -> None:
        raise KeyError(message)

    channels.channel("room").subscribe(fail)
    room = channels.channel("room").subscribe()
    channels.channel("room").publish("a")
    assert room.get(20) == b"a"
    assert "KeyError: b'a'" in capfd.readouterr().err
    channels.close()


def test_messages_have_a_limit(broadcast: Broadcast) -> None:
    channels = begin(broadcast)
    room = channels.channel("x" * 200).subscribe()
    channels.channel("x" * 200).publish(b"y" * LARGEST_MESSAGE)
    message = room.get(20)
    assert message is not None and len(message) == LARGEST_MESSAGE
    with pytest.raises(ValueError, match="100001 bytes is over 100000"):
        channels.channel("room").publish(b"y" * (LARGEST_MESSAGE + 1))
    channels.close()


def test_a_reader_that_does_not_read_is_passed_by(broadcast: Broadcast) -> None:
    assert broadcast.claim() is not None
    channels = Channels(broadcast)
    room = channels.channel("room")
    while not channels.undelivered:
        room.publish(b"x" * LARGEST_MESSAGE)
    assert channels.undelivered == 1


def test_boxes_are_found_again_in_another_process(broadcast: Broadcast) -> None:
    wire = json.loads(json.dumps(broadcast.to_wire()))
    wire["region"]["fd"] = os.dup(wire["region"]["fd"])
    wire["boxes"] = [[os.dup(fd) for fd in fds] for fds in wire["boxes"]]
    other = Broadcast.from_wire(wire)
    channels = begin(broadcast)
    room = channels.channel("room").subscribe()
    Channels(other).channel("room").publish("text")
    assert room.get(20) == b"text"
    channels.close()
    other.close()


def test_a_server_carries_messages_between_machines(tmp_path: Path) -> None:
    pytest.importorskip("redis")
    script = tmp_path / "member.py"
    script.write_text(_MEMBER)
    server = RedisServer(tmp_path)
    server.start()
    try:
        output = subprocess.run(
            [sys.executable, str(script), server.url, str(server.port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert output.stdout.split() == ["b'one'", "b'two'", "late", "b'three'"], output
    finally:
        server.stop()


# Patched, as every process of the server is.
_MEMBER = """
from gevent import monkey
monkey.patch_all()
import sys, gevent
from geuwsgi.background.channels import Channels

url = sys.argv[1]
one, other = Channels(None, url), Channels(None, url)
room = one.channel("room").subscribe()
for channels in (one, other):
    channels.enter_process()
while one._pubsub is None:
    gevent.sleep(0.01)
gevent.sleep(0.2)
other.channel("room").publish("one")
print(room.get(20), flush=True)
one.channel("room").publish("two")
print(room.get(20), flush=True)
late = one.channel("late").subscribe()
gevent.sleep(0.2)
other.channel("late").publish("late")
print(late.get(20).decode(), flush=True)
room.close()
late.close()
one.close()
third = Channels(None, url)
again = third.channel("room").subscribe(print)
third.enter_process()
while third._pubsub is None:
    gevent.sleep(0.01)
gevent.sleep(0.2)
other.channel("room").publish("three")
gevent.sleep(0.3)
"""

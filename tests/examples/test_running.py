"""Each example started as its README says, on ports of the test's own."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, free_port, get
from geuwsgi.testing.fixtures import StartServer

pytestmark = pytest.mark.e2e

Example = Callable[[str], Path]


def moved(path: Path, *changes: tuple[str, str]) -> None:
    """Put the example's addresses where the test has its own."""
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def test_the_chat_brings_two_windows_together(
    geuwsgi_server: StartServer, example: Example
) -> None:
    directory = example("chat")
    address = f"127.0.0.1:{free_port()}"
    moved(directory / "chat.ini", ("127.0.0.1:8000", address))
    server = geuwsgi_server("chat/chat.ini")
    server.wait_until_ready(address)
    assert b"<title>Chat</title>" in get(address).body
    with Client(address) as ann, Client(address) as bob:
        assert ann.request("/poll?id=a&name=Ann").status == 200
        bob.request("/poll?id=b&name=Bob")
        ann.send(b"GET /poll?after=0&id=a&name=Ann HTTP/1.1\r\nHost: a\r\n\r\n")
        said = bob.request(
            "/messages", method="POST", body=b'{"name": "Bob", "text": "hello"}'
        )
        assert said.status == 200
        news = json.loads(ann.read_response().body)
    assert [message["text"] for message in news["messages"]] == ["hello"]
    assert news["present"] == ["Ann", "Bob"]
    assert server.stop() == 0
    server.assert_nothing_left()


def test_many_windows_are_told_at_once(
    geuwsgi_server: StartServer, example: Example
) -> None:
    directory = example("chat")
    address = f"127.0.0.1:{free_port()}"
    moved(directory / "chat.ini", ("127.0.0.1:8000", address))
    server = geuwsgi_server("chat/chat.ini")
    server.wait_until_ready(address)
    get(address, "/poll?id=0&name=Ann")
    windows = [Client(address) for _ in range(200)]
    for window in windows:
        window.send(b"GET /poll?after=0&id=0&name=Ann HTTP/1.1\r\nHost: a\r\n\r\n")
    with Client(address) as speaker:
        speaker.request(
            "/messages", method="POST", body=b'{"name": "Bob", "text": "all of you"}'
        )
    for window in windows:
        assert b"all of you" in window.read_response().body
        window.close()


POLL = b"GET /poll?after=0&id=0&name=Ann HTTP/1.1\r\nHost: a\r\n\r\n"


def next_texts(window: Client) -> list[str]:
    """What a page would show next: it asks again when nobody has said anything."""
    while not (news := json.loads(window.read_response().body))["messages"]:
        window.send(POLL)
    return [message["text"] for message in news["messages"]]


def test_the_chat_in_several_workers_tells_all_of_them(
    geuwsgi_server: StartServer, example: Example
) -> None:
    directory = example("chat")
    address = f"127.0.0.1:{free_port()}"
    moved(directory / "chat-workers.ini", ("127.0.0.1:8000", address))
    server = geuwsgi_server("chat/chat-workers.ini")
    server.wait_for_log("spawned uWSGI worker", count=4)
    get(address, "/poll?id=0&name=Ann")
    windows = [Client(address) for _ in range(40)]
    for window in windows:
        window.send(POLL)
    with Client(address) as speaker:
        for text in (b"one", b"two"):
            body = b'{"name": "Bob", "text": "%b"}' % text
            assert speaker.request("/messages", method="POST", body=body).status == 200
    for window in windows:
        assert next_texts(window)[0] == "one"
        window.close()
    # Whichever worker is asked knows both.
    for _ in range(8):
        news = json.loads(get(address, "/poll?id=0&name=Ann").body)
        assert [message["text"] for message in news["messages"]] == ["one", "two"]
    workers = re.findall(r"^\[pid: (\d+)\|", server.log, re.MULTILINE)
    assert len(set(workers)) > 1
    assert server.stop() == 0
    server.assert_nothing_left()


def test_events_come_one_by_one(geuwsgi_server: StartServer, example: Example) -> None:
    directory = example("events")
    address = f"127.0.0.1:{free_port()}"
    moved(directory / "events.ini", ("127.0.0.1:8001", address))
    moved(directory / "events.py", ("INTERVAL_S = 1.0", "INTERVAL_S = 0.02"))
    server = geuwsgi_server("events/events.ini")
    server.wait_until_ready(address)
    assert b"EventSource" in get(address).body
    with Client(address) as listener, Client(address) as other:
        for window in (listener, other):
            window.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            head = window.read_until(b"\r\n\r\n")
            assert b"text/event-stream" in head
            assert window.read_until(b"\n\n")
        seen = listener.read_until(b'"listeners": 2}\n\n')
        assert b"data: " in seen
        other.close()
        # The one that left is noticed: its iterator was closed.
        assert listener.read_until(b'"listeners": 1}\n\n')


def test_flask_is_served_through_nginx(
    geuwsgi_server: StartServer, example: Example
) -> None:
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if nginx is None:
        assert not os.environ.get("GEUWSGI_TEST_ALL")
        pytest.skip("nginx is missing")
    directory = example("flask-nginx")
    address = f"127.0.0.1:{free_port()}"
    unix = str(directory / "hello.sock")
    moved(directory / "hello.ini", ("/tmp/geuwsgi-hello.sock", unix))
    moved(
        directory / "nginx.conf",
        ("/tmp/geuwsgi-hello.sock", unix),
        ("127.0.0.1:8080", address),
        ("/tmp/geuwsgi-hello-nginx.pid", str(directory / "nginx.pid")),
        # The test's directory is for its owner alone.
        (
            "daemon off;",
            "daemon off; user root;" if os.getuid() == 0 else "daemon off;",
        ),
    )
    server = geuwsgi_server("flask-nginx/hello.ini")
    server.wait_until_ready(unix)
    front = directory / "nginx"
    front.mkdir()
    web = geuwsgi_server(
        *("-e", "stderr", "-c", str(directory / "nginx.conf")),
        command=(nginx,),
        directory=front,
    )
    web.wait_until_ready(address)
    pids = set()
    for _ in range(20):
        page = get(address).text
        assert page.startswith("Hello 127.0.0.1, this is worker process ")
        pids.add(int(page.rstrip(".\n").rpartition(" ")[2]))
    assert pids <= set(server.processes()) - {server.pid}
    assert server.stop() == 0

"""The chat's application, called as a server calls it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any
from wsgiref.validate import validator

import gevent
import pytest

Ask = Callable[..., tuple[str, Any]]


@pytest.fixture
def chat(example_module: Callable[[str], ModuleType]) -> ModuleType:
    return example_module("chat/chat.py")


@pytest.fixture
def ask(chat: ModuleType) -> Ask:
    application = validator(chat.Chat(chat.Room()))

    def call(
        method: str, path: str, query: str = "", body: bytes = b"", length: str = ""
    ) -> tuple[str, Any]:
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": length or str(len(body)),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        told: list[str] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None
        ) -> Callable[[bytes], object]:
            told.append(status)
            return lambda _: None

        answer = application(environ, start_response)
        try:
            content = b"".join(answer)
        finally:
            answer.close()  # type: ignore[attr-defined]
        return told[0], json.loads(content) if content[:1] == b"{" else content

    return call


def say(ask: Ask, name: str, text: str) -> tuple[str, Any]:
    body = json.dumps({"name": name, "text": text}).encode()
    return ask("POST", "/messages", body=body)


def test_the_page_is_served(ask: Ask) -> None:
    status, page = ask("GET", "/")
    assert status == "200 OK"
    assert b"<title>Chat</title>" in page


def test_a_newcomer_is_told_everything_at_once(ask: Ask) -> None:
    say(ask, "Ann", "one")
    say(ask, "Ann", "two")
    _, news = ask("GET", "/poll", "after=-1&id=b&name=Bob")
    assert [message["text"] for message in news["messages"]] == ["one", "two"]
    assert news["present"] == ["Bob"]
    assert news["last"] == 2


def test_a_newcomer_to_an_empty_room_does_not_wait(ask: Ask) -> None:
    assert ask("GET", "/poll", "id=b&name=Bob")[1]["messages"] == []


def test_a_poll_waits_until_somebody_says_something(ask: Ask) -> None:
    ask("GET", "/poll", "id=b&name=Bob")
    waiting = gevent.spawn(ask, "GET", "/poll", "after=0&id=b&name=Bob")
    gevent.sleep(0)
    assert not waiting.ready()
    say(ask, "Ann", "hello")
    _, news = waiting.get(timeout=5)
    assert [message["text"] for message in news["messages"]] == ["hello"]


def test_a_poll_ends_when_somebody_comes_in(ask: Ask) -> None:
    ask("GET", "/poll", "id=b&name=Bob")
    waiting = gevent.spawn(ask, "GET", "/poll", "after=0&id=b&name=Bob")
    gevent.sleep(0)
    ask("GET", "/poll", "id=a&name=Ann")
    assert waiting.get(timeout=5)[1]["present"] == ["Ann", "Bob"]


def test_a_visitor_from_before_a_restart_is_told_everything(ask: Ask) -> None:
    say(ask, "Ann", "new room")
    _, news = ask("GET", "/poll", "after=99&id=b&name=Bob")
    assert len(news["messages"]) == 1


def test_only_the_latest_messages_are_kept(chat: ModuleType) -> None:
    room = chat.Room()
    for number in range(chat.KEPT_MESSAGES + 1):
        room.say("Ann", str(number))
    kept = room.after(-1)
    assert len(kept) == chat.KEPT_MESSAGES
    assert kept[0].text == "1"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", "400 Bad Request"),
        (b"[]", "400 Bad Request"),
        (b"{", "400 Bad Request"),
        (b"\xff", "400 Bad Request"),
        (b'{"name": "Ann"}', "400 Bad Request"),
        (b'{"name": " ", "text": "x"}', "400 Bad Request"),
        (b'{"name": 1, "text": "x"}', "400 Bad Request"),
        (json.dumps({"name": "A", "text": "x" * 2001}).encode(), "400 Bad Request"),
        (b" " * 20_000, "413 Content Too Large"),
    ],
)
def test_a_wrong_message_is_refused(ask: Ask, body: bytes, status: str) -> None:
    answered, content = ask("POST", "/messages", body=body)
    assert answered == status
    assert content["error"]


@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/poll", "", "400 Bad Request"),
        ("GET", "/poll", "after=x&id=a&name=b", "400 Bad Request"),
        ("GET", "/nowhere", "", "404 Not Found"),
        ("POST", "/", "", "404 Not Found"),
    ],
)
def test_a_wrong_question_is_refused(
    ask: Ask, method: str, path: str, query: str, status: str
) -> None:
    assert ask(method, path, query)[0] == status

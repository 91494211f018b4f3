"""What the instance of ``test_instance`` runs: pages that use the ``uwsgi`` module."""

# mypy: ignore-errors

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import uwsgi
from uwsgidecorators import (
    mulefunc,
    postfork,
    rpc,
    signal,
    spool,
    timer,
)

import geuwsgi


def tell(text: str) -> None:
    sys.stderr.write(f"@ {text}\n")


def who() -> str:
    if uwsgi.i_am_the_spooler():
        return "spooler"
    return (
        f"mule {uwsgi.mule_id()}" if uwsgi.mule_id() else f"worker {uwsgi.worker_id()}"
    )


@postfork
def forked() -> None:
    tell(f"forked {who()}")


@signal(17, target="workers")
def everybody(number: int) -> None:
    tell(f"signal {number} in {who()}")


@timer(1, target="mule1")
def tick(number: int) -> None:
    tell(f"tick in {who()}")


@spool
def work(task: dict[str, str]) -> None:
    tell(f"task {task['n']} in {who()}")
    if task["n"] == "die":
        os.kill(os.getpid(), 9)


@mulefunc(1)
def in_mule(text: str) -> None:
    tell(f"{text} in {who()}")
    if text == "die":
        os.kill(os.getpid(), 9)


@rpc("who")
def remote_who() -> bytes:
    return who().encode()


geuwsgi.channel("room").subscribe(
    lambda message: tell(f"heard {message.decode()} in {who()}")
)


def locked(query: dict[str, str]) -> str:
    with uwsgi.locked(0, timeout=5):
        began = time.time()
        time.sleep(0.05)
        return f"{began} {time.time()}"


def leave_locked(query: dict[str, str]) -> str:
    uwsgi.lock(1)
    return "left"


PAGES: dict[str, Callable[[dict[str, str]], Any]] = {
    "/inc": lambda query: (uwsgi.cache_inc("n"), uwsgi.cache_num("n"))[1],
    "/set": lambda query: uwsgi.cache_update("key", query["v"]),
    "/get": lambda query: uwsgi.cache_get("key"),
    "/push": lambda query: uwsgi.queue_push(query["v"]),
    "/pull": lambda query: uwsgi.queue_pull(),
    "/spool": lambda query: work(n=query["n"]),
    "/mule": lambda query: in_mule(query["v"]),
    "/signal": lambda query: uwsgi.signal(17),
    "/locked": locked,
    "/leave-locked": leave_locked,
    "/is-locked": lambda query: uwsgi.is_locked(1),
    "/publish": lambda query: geuwsgi.channel("room").publish(query["v"]),
    "/pids": lambda query: uwsgi.spooler_pids(),
}


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    query = {
        key: values[0] for key, values in parse_qs(environ["QUERY_STRING"]).items()
    }
    answer = PAGES[environ["PATH_INFO"]](query)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer if isinstance(answer, bytes) else str(answer).encode()]

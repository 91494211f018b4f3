"""Counts what one worker does in a second, and has a spooler work."""

import time
from urllib.parse import parse_qs

import uwsgi

KEYS = [f"key-{number}" for number in range(1000)]
VALUE = b"v" * 200


def get() -> None:
    read = uwsgi.cache_get
    for key in KEYS:
        read(key)


def update() -> None:
    write = uwsgi.cache_update
    for key in KEYS:
        write(key, VALUE)


def lock() -> None:
    for _ in KEYS:
        uwsgi.lock()
        uwsgi.unlock()


def queue() -> None:
    for _ in KEYS:
        uwsgi.queue_push(VALUE)
        uwsgi.queue_pop()


def metric() -> None:
    add = uwsgi.metric_inc
    for _ in KEYS:
        add("counted")


OPERATIONS = {"get": get, "update": update, "lock": lock, "queue": queue}
OPERATIONS["metric"] = metric


def spooler(task: object) -> int:
    uwsgi.cache_inc("done")
    return uwsgi.SPOOL_OK


uwsgi.spooler = spooler
update()


def rate(name: str, seconds: float) -> float:
    work = OPERATIONS[name]
    count = 0
    began = time.perf_counter()
    while (taken := time.perf_counter() - began) < seconds:
        work()
        count += len(KEYS)
    return count / taken


def undisturbed_rate(name: str, seconds: float) -> float:
    """The rate in the fastest tenth, which the scheduler and others left alone."""
    work = OPERATIONS[name]
    pieces = []
    ends = time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends:
        work()
        pieces.append(time.perf_counter() - began)
    return len(KEYS) / sorted(pieces)[len(pieces) // 10]


def spool(count: int) -> float:
    """Tasks a second, from the first that is written to the last that is done."""
    uwsgi.cache_del("done")
    began = time.perf_counter()
    for number in range(count):
        uwsgi.spool({b"number": b"%d" % number})
    while uwsgi.cache_num("done") < count:
        time.sleep(0.002)
    return count / (time.perf_counter() - began)


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    name = environ["PATH_INFO"][1:]
    if name == "ready":
        figure = float(uwsgi.worker_id())
    elif name == "spool":
        figure = spool(int(query["count"][0]))
    else:
        measure = rate if "whole" in query else undisturbed_rate
        figure = measure(name, float(query["seconds"][0]))
    body = f"{uwsgi.worker_id()} {figure:.1f}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

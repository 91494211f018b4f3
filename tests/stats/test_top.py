from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from geuwsgi.errors import StartupError
from geuwsgi.stats.model import CoreStats, InstanceStats, WorkerStats
from geuwsgi.stats.top import draw, read_stats, top
from geuwsgi.stats.uwsgijson import stats_tree


def stats(requests: int, *cores: CoreStats) -> dict[str, Any]:
    worker = WorkerStats(
        1, pid=77, status="busy", requests=requests, avg_rt=1500, rss=3 << 20
    )
    worker.cores = list(cores)
    other = WorkerStats(2, pid=78, status="idle")
    return stats_tree(InstanceStats("2.0.31", 9, 0, 0, "/srv", workers=[other, worker]))


def test_the_busiest_worker_is_first_with_its_rate() -> None:
    lines = list(draw(stats(30), stats(10), 2.0, 0.0))
    assert lines[0] == "uWSGI 2.0.31 · pid 9 · /srv"
    assert lines[1].startswith("30 requests, 10.0 a second")
    assert lines[4].split() == "1 77 busy 30 10.0 0 0 1.5 3M 0 0".split()
    assert lines[5].split()[:3] == ["2", "78", "idle"]


def test_percentiles_are_shown_where_they_are_told() -> None:
    workers = [WorkerStats(1, latency_p50=1500, latency_p99=20_000), WorkerStats(2)]
    told = stats_tree(InstanceStats("2.0.31", 9, 0, 0, "/srv", workers=workers))
    lines = [line.split() for line in draw(told, None, 0.0, 0.0)]
    assert lines[3][-4:] == ["P50", "ms", "P99", "ms"]
    assert lines[4][-2:] == ["1.5", "20.0"]
    assert lines[5][-2:] == ["0.0", "0.0"]


def test_requests_in_flight_are_shown_the_longest_first() -> None:
    def core(number: int, started: int, uri: str) -> CoreStats:
        found = (f"REQUEST_URI={uri}", "REQUEST_METHOD=GET", "HTTP_HOST=a")
        return CoreStats(number, vars=found, started=started)

    busy = stats(3, core(0, 50, "/late"), CoreStats(1), core(2, 10, "/early?x=1"))
    lines = list(draw(busy, None, 0.0, 60.0))
    assert [" ".join(line.split()) for line in lines[-2:]] == [
        "1 core 2 50 s GET a/early?x=1",
        "1 core 0 10 s GET a/late",
    ]


@pytest.mark.parametrize("over_http", [False, True])
def test_statistics_are_read_from_a_socket_or_over_http(over_http: bool) -> None:
    body = json.dumps(stats(5)).encode()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            visitor, _ = server.accept()
            with visitor:
                if over_http:
                    assert visitor.recv(4096).startswith(b"GET / HTTP/1.0\r\n")
                    visitor.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                visitor.sendall(body)

        thread = threading.Thread(target=answer)
        thread.start()
        read = read_stats(f"http://{address}" if over_http else address)
        thread.join()
    assert read == stats(5)
    with pytest.raises(StartupError, match="refused"):
        read_stats(address)


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "--every"]])
def test_what_is_no_command_is_told(arguments: list[str]) -> None:
    with pytest.raises(StartupError, match="usage"):
        top(arguments)

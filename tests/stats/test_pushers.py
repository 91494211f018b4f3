from __future__ import annotations

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.stats.model import InstanceStats, WorkerStats
from geuwsgi.stats.pushers import (
    CarbonNaming,
    Metric,
    Pusher,
    Share,
    carbon_lines,
    carbon_metrics,
    parse_pusher,
    socket_lines,
    statsd_lines,
)

METRICS = [
    Metric("worker.1.requests", 0, 30),
    Metric("worker.1.rss_size", 1, 4096),
    Metric("queue.length", 2, 5),
    Metric("mails", 0, 7),
]
NAMING = CarbonNaming("uwsgi", "host", "127_0_0_1:80")


@pytest.mark.parametrize(
    ("text", "pusher"),
    [
        ("statsd:127.0.0.1:8125", Pusher("statsd", "127.0.0.1:8125")),
        ("statsd:st.test:8125,site", Pusher("statsd", "st.test:8125", "site")),
        ("socket:[::1]:80,a", Pusher("socket", "[::1]:80", "a")),
        ("file", Pusher("file", "uwsgi.stats", separator="\n\n")),
        (
            "file:path=/a,freq=5,separator=--\\n",
            Pusher("file", "/a", separator="--\n", frequency_s=5),
        ),
    ],
)
def test_what_a_pusher_may_be(text: str, pusher: Pusher) -> None:
    assert parse_pusher(text) == pusher


@pytest.mark.parametrize(
    "text", ["mongodb:x", "", "statsd", "statsd:host", "file:a=b", "file:freq=x"]
)
def test_what_it_may_not_be(text: str) -> None:
    with pytest.raises(ConfigError, match="stats-push"):
        parse_pusher(text)


def test_the_socket_gets_name_kind_and_value() -> None:
    assert list(socket_lines(METRICS[:2], "")) == [
        b"worker.1.requests 0 30",
        b"worker.1.rss_size 1 4096",
    ]
    assert next(socket_lines(METRICS, "site")) == b"site.worker.1.requests 0 30"


def test_statsd_gets_what_counters_have_grown_by() -> None:
    before = {"worker.1.requests": 10, "mails": 9}
    assert list(statsd_lines(METRICS, "site", before=before)) == [
        b"site.worker.1.requests:20|c",
        b"site.worker.1.rss_size:4096|g",
        b"site.queue.length:5|g",
        b"site.mails:7|c",
    ]


def test_statsd_may_get_gauges_only_and_no_workers() -> None:
    lines = statsd_lines(METRICS, "", before={}, all_gauges=True, with_workers=False)
    assert list(lines) == [b"queue.length:5|g", b"mails:7|g"]


def stats(*workers: WorkerStats) -> InstanceStats:
    return InstanceStats("2.0.31", 1, 0, 0, "/", workers=list(workers))


BUSY = WorkerStats(1, pid=10, requests=30, avg_rt=200, tx=1000, harakiri_count=1)
IDLE = WorkerStats(2, pid=11, requests=4, avg_rt=100, tx=10)
CHEAP = WorkerStats(3)
SHARES = {1: Share(20, 0.505), 2: Share(0, 0.0), 3: Share(0, 0.0)}


def carbon(**options: object) -> dict[str, int]:
    lines = carbon_lines(stats(BUSY, IDLE, CHEAP), SHARES, NAMING, 77, **options)  # type: ignore[arg-type]
    found = {}
    for line in lines:
        name, value, when = line.split(" ")
        assert when == "77\n"
        found[name.removeprefix("uwsgi.host.127_0_0_1:80.")] = int(value)
    return found


def test_carbon_gets_what_uwsgi_sends() -> None:
    found = carbon()
    assert found["requests"] == 34
    assert found["worker1.busyness"] == 50
    assert found["worker1.avg_rt"] == 200
    assert found["worker2.avg_rt"] == 100
    assert found["busyness"] == 25
    assert found["avg_rt"] == 150
    assert (found["tx"], found["active_workers"], found["harakiri"]) == (1010, 2, 1)
    assert [name for name in found if name.startswith("worker2.")] == [
        f"worker2.{name}" for name in ("requests", "avg_rt", "tx", "busyness")
    ] + ["worker2.harakiri"]


def test_the_average_of_an_idle_worker_is_what_one_says() -> None:
    assert carbon(idle_average="zero")["avg_rt"] == 100
    none = carbon(idle_average="none")
    assert none["avg_rt"] == 200
    assert "worker2.avg_rt" not in none


def test_carbon_may_get_no_workers() -> None:
    assert not [name for name in carbon(with_workers=False) if "worker1." in name]


def test_carbon_may_get_the_metrics_instead() -> None:
    assert list(carbon_metrics(METRICS[3:], NAMING, 5)) == [
        "uwsgi.host.127_0_0_1:80.mails 7 5\n"
    ]

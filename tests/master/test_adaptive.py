from __future__ import annotations

import threading
import time

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.master.adaptive import (
    Adaptive,
    Backlog,
    Busyness,
    BusynessOptions,
    Load,
    Manual,
    Spare,
    Spare2,
    adaptive_of,
)
from geuwsgi.master.plan import first_workers
from geuwsgi.options import Workers
from geuwsgi.testing.client import get
from geuwsgi.testing.process import ServerProcess
from tests.master.site import Site

BUSY, IDLE = 0.9, 0.1


def load(busy: int, idle: int, backlog: int = 0, rss: int = 0) -> Load:
    return Load((BUSY,) * busy + (IDLE,) * idle, backlog, rss)


def test_spare_adds_a_step_when_all_are_busy_for_some_cycles() -> None:
    spare = Spare(step=2, overload=3)
    assert [spare.decide(load(4, 0)) for _ in range(8)] == [0, 0, 0, 2, 0, 0, 0, 2]


def test_a_quiet_moment_takes_back_a_busy_one() -> None:
    spare = Spare(step=1, overload=3)
    loads = [load(2, 0)] * 3 + [load(1, 1)] * 2 + [load(2, 0)] * 3
    assert [spare.decide(one) for one in loads] == [0] * 7 + [1]


def test_spare_removes_one_at_a_time_while_another_one_is_idle() -> None:
    spare = Spare(step=1, overload=2)
    assert [spare.decide(load(1, 3)) for _ in range(4)] == [0, -1, 0, -1]
    assert [spare.decide(load(3, 1)) for _ in range(10)] == [0] * 10


def test_spare2_keeps_the_minimum_idle() -> None:
    spare2 = Spare2(minimum=2, step=5, idle_s=3)
    assert spare2.decide(load(4, 0)) == 2
    assert spare2.decide(load(4, 1)) == 1
    assert spare2.decide(load(4, 2)) == 0
    assert [spare2.decide(load(1, 5)) for _ in range(4)] == [0, 0, -1, 0]


def test_backlog_follows_the_queue() -> None:
    backlog = Backlog(step=2, overload=10)
    assert backlog.decide(load(1, 1, backlog=11)) == 2
    assert backlog.decide(load(1, 1, backlog=8)) == 0
    assert backlog.decide(load(1, 2, backlog=0)) == -1
    assert backlog.decide(load(2, 0, backlog=0)) == 0


def busyness(**options: int) -> Busyness:
    return Busyness(BusynessOptions(**options), step=1, overload=2)


def test_busyness_adds_when_the_average_is_high() -> None:
    assert [busyness().decide(load(4, 0)) for _ in range(1)] == [0]
    algorithm = busyness()
    assert [algorithm.decide(load(4, 0)) for _ in range(4)] == [0, 1, 0, 1]


def test_busyness_removes_after_quiet_windows_and_learns_from_a_mistake() -> None:
    algorithm = busyness(multiplier=2, penalty=3)
    assert [algorithm.decide(load(0, 4)) for _ in range(4)] == [0, 0, 0, -1]
    assert [algorithm.decide(load(4, 0)) for _ in range(2)] == [0, 1]
    decisions = [algorithm.decide(load(0, 4)) for _ in range(10)]
    assert decisions == [0] * 9 + [-1]


def test_busyness_between_the_bounds_changes_nothing() -> None:
    algorithm = busyness(multiplier=1)
    assert [algorithm.decide(Load((0.4, 0.4))) for _ in range(20)] == [0] * 20


def test_a_long_backlog_starts_an_emergency_worker_that_goes_again() -> None:
    algorithm = busyness(backlog_alert=5, backlog_multiplier=2)
    assert algorithm.decide(Load((0.4,), backlog=6)) == 1
    assert algorithm.decide(Load((0.4,) * 2, backlog=0)) == 0
    assert algorithm.decide(Load((0.4,) * 2, backlog=0)) == -1


def test_a_backlog_that_stays_starts_one_too() -> None:
    algorithm = busyness(backlog_nonzero_s=3)
    decisions = [algorithm.decide(Load((0.4,), backlog=1)) for _ in range(3)]
    assert decisions == [0, 0, 1]


def test_bounds_are_kept() -> None:
    adaptive = Adaptive(Spare(step=9, overload=0), minimum=2, maximum=6)
    assert adaptive.wanted(4, load(4, 0)) == 6
    assert adaptive.wanted(6, load(6, 0)) == 6
    assert adaptive.wanted(2, load(0, 2)) == 2


def test_memory_limits_rule_over_the_load() -> None:
    adaptive = Adaptive(
        Spare(step=1, overload=0), minimum=1, maximum=9, rss_soft=100, rss_hard=200
    )
    assert adaptive.wanted(4, load(4, 0, rss=99)) == 5
    assert adaptive.wanted(4, load(4, 0, rss=150)) == 4
    assert adaptive.wanted(4, load(4, 0, rss=250)) == 3


def test_options_that_cannot_be_meant_are_told() -> None:
    with pytest.raises(ConfigError, match="cheaper: 4 must be less than processes"):
        adaptive_of(Workers(cheaper=4, processes=4))
    with pytest.raises(ConfigError, match="unknown algorithm 'sparse'"):
        adaptive_of(Workers(cheaper=1, processes=4, cheaper_algo="sparse"))
    assert adaptive_of(Workers(processes=4)) is None


@pytest.mark.parametrize("name", ["spare", "spare2", "backlog", "busyness", "manual"])
def test_every_algorithm_can_be_chosen(name: str) -> None:
    adaptive = adaptive_of(Workers(cheaper=1, processes=4, cheaper_algo=name))
    assert adaptive is not None
    assert 1 <= adaptive.wanted(2, load(1, 1)) <= 4


@pytest.mark.parametrize(
    ("workers", "first"),
    [
        (Workers(processes=4), 4),
        (Workers(processes=4, cheaper=2), 2),
        (Workers(processes=4, cheaper=2, cheaper_initial=3), 3),
        (Workers(processes=4, cheaper=2, cheaper_initial=9), 4),
        (Workers(processes=4, cheaper=2, cheaper_initial=1), 2),
        (Workers(processes=4, cheap=True), 0),
    ],
)
def test_a_generation_starts_with_what_is_asked(workers: Workers, first: int) -> None:
    assert first_workers(workers) == first


def test_manual_never_changes_anything() -> None:
    assert Manual().decide(load(9, 0, backlog=100)) == 0


@pytest.mark.e2e
def test_busy_workers_get_help_and_lose_it_again(site: Site) -> None:
    server = site.start("cheaper = 1\ncheaper-overload = 1\ngevent = 1\n", spawned=1)
    threads = [
        threading.Thread(target=get, args=(site.address, "/slow?4")) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    server.wait_for_log("cheaper: 1 workers become 2", timeout=20)
    for thread in threads:
        thread.join()
    server.wait_for_log("cheaper: 2 workers become 1", timeout=20)
    assert site.version() == "one"


@pytest.mark.e2e
def test_an_idle_instance_goes_cheap_and_wakes_up(site: Site) -> None:
    server = site.start("idle = 1\n", workers=1)
    server.wait_for_log("cheap mode .*no request for 1 seconds", timeout=20)
    server.wait_for_log("worker 1 buried")
    assert site.version() == "one"
    server.wait_for_log("somebody connects")


@pytest.mark.e2e
def test_a_cheap_instance_has_no_workers_until_somebody_connects(site: Site) -> None:
    site.write_ini("cheap = true\n", workers=2)
    with ServerProcess(["site.ini"], directory=site.directory) as server:
        server.wait_for_log("WSGI app 0 .* ready")
        time.sleep(0.5)
        assert "spawned uWSGI worker" not in server.log
        assert site.version() == "one"
        server.wait_for_log("spawned uWSGI worker 2")
        server.stop()


@pytest.mark.e2e
def test_die_on_idle_ends_the_instance(site: Site) -> None:
    server = site.start("idle = 3\ndie-on-idle = true\n", workers=1)
    assert server.wait(20) == 0

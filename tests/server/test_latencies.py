from __future__ import annotations

import random
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from geuwsgi.server.latencies import Latencies, bucket_of, percentile
from geuwsgi.shared import scoreboard as sb


def exchange(seconds: float) -> Any:
    return SimpleNamespace(duration=seconds)


@pytest.fixture
def row() -> memoryview[int]:
    return memoryview(bytearray(sb.FIELDS * 8)).cast("q")


@pytest.mark.parametrize("micros", [1, 7, 8, 9, 15, 16, 17, 100, 12_345, 10**6, 10**11])
def test_a_time_is_told_within_a_sixteenth(micros: int) -> None:
    counts = [0] * 320
    counts[bucket_of(micros)] = 1
    assert abs(percentile(counts, 0.5) - micros) <= micros / 16


def test_buckets_follow_each_other_without_a_gap() -> None:
    found = [bucket_of(micros) for micros in range(5000)]
    assert found[0] == 0
    assert all(after - before in (0, 1) for before, after in pairwise(found))


def test_a_time_longer_than_any_bucket_is_in_the_last() -> None:
    assert bucket_of(1 << 70) == 319


def test_a_clock_that_went_back_is_no_time_at_all() -> None:
    assert bucket_of(-5) == 0


def test_percentiles_are_those_of_the_requests(row: memoryview[int]) -> None:
    latencies = Latencies(row)
    times = [0.001] * 980 + [1.0] * 20
    random.Random(1).shuffle(times)
    for seconds in times:
        latencies.count(exchange(seconds))
    latencies.tick()
    assert row[sb.LATENCY_P50_US] == pytest.approx(1000, rel=1 / 16)
    assert row[sb.LATENCY_P99_US] == pytest.approx(1_000_000, rel=1 / 16)


def test_requests_of_more_than_a_minute_ago_are_forgotten(row: memoryview[int]) -> None:
    latencies = Latencies(row)
    latencies.count(exchange(1.0))
    for _ in range(31):
        latencies.tick()
    assert row[sb.LATENCY_P50_US] > 0
    for _ in range(30):
        latencies.tick()
    assert row[sb.LATENCY_P50_US] == 0


def test_who_logs_is_told_of_each_request(row: memoryview[int]) -> None:
    logged: list[Any] = []
    one = exchange(0.1)
    Latencies(row, logged.append).count(one)
    assert logged == [one]

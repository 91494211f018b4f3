from __future__ import annotations

from pathlib import Path

import pytest

from geuwsgi.background.collecting import Collector, MetricFiles, Threshold
from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.shared.metrics import Metrics, MetricSpec


def collect(*lines: str, times: int = 1) -> Metrics:
    metrics = Metrics.create(["a", "b", *lines])
    metrics.set("a", 4)
    metrics.set("b", 7)
    collector = Collector(metrics, metrics.get)
    for second in range(times):
        collector.tick(float(second))
    return metrics


@pytest.mark.parametrize(
    ("collector", "value"),
    [
        ("collector=sum,children=a;b", 11),
        ("collector=avg,children=a;b", 5),
        ("collector=adder,children=a;b,arg1n=100", 111),
        ("collector=multiplier,children=a,arg1n=3", 12),
        ("collector=avg", 0),
        ("collector=sum,children=a;missing", 4),
    ],
)
def test_collectors_make_one_value_of_others(collector: str, value: int) -> None:
    assert collect(f"name=x,{collector}").get("x") == value


def test_an_accumulator_adds_at_its_frequency() -> None:
    line = "name=x,collector=accumulator,children=a,freq=2"
    assert collect(line, times=5).get("x") == 12


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "number"
    path.write_text("42 and more\n")
    assert collect(f"name=x,collector=file,arg1={path}").get("x") == 42
    path.write_text("text")
    line = f"name=x,collector=file,initial_value=9,arg1={path}"
    assert collect(line).get("x") == 9
    path.unlink()
    assert collect(line).get("x") == 9


@pytest.mark.parametrize(
    "line",
    [
        "",
        "name=",
        "name=a b",
        "name=x,type=y",
        "name=x,collector=y",
        "x=1",
        "name=x,freq=y",
    ],
)
def test_wrong_lines_are_refused(line: str) -> None:
    with pytest.raises(ConfigError):
        MetricSpec.parse(line)


def test_two_metrics_need_two_names() -> None:
    with pytest.raises(ConfigError, match="two metrics with the name 'a'"):
        Metrics.create(["a", "name=a"])


def test_a_threshold_is_due_at_its_rate() -> None:
    threshold = Threshold.parse("key=x,value=10,alarm=fire,rate=5,msg=hot,reset=0")
    assert (threshold.metric, threshold.alarm) == ("x", "fire")
    assert (threshold.message, threshold.reset) == ("hot", 0)
    assert not threshold.is_due(9, 1.0)
    assert threshold.is_due(10, 2.0)
    assert not threshold.is_due(11, 6.9)
    assert threshold.is_due(11, 7.0)
    for line in ("value=1", "key=x", "key=x,value=y", "key=x,value=1,rate=z"):
        with pytest.raises(ConfigError):
            Threshold.parse(line)


def test_values_are_written_and_read_again(tmp_path: Path) -> None:
    files = MetricFiles(str(tmp_path))
    files.write("x", 12345)
    assert (tmp_path / "x").read_text() == "12345\n"
    files.write("x", 6)
    assert (tmp_path / "x").read_text() == "6\n"
    assert files.restore("x") == 6
    assert files.restore("y") is None
    files.write("missing/y", 1)
    with pytest.raises(StartupError, match="is no directory"):
        MetricFiles(str(tmp_path / "missing"))

"""Where a key leads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.net.address import TcpAddress, UnixAddress
from geuwsgi.routers.nodes import Node, Table
from geuwsgi.routers.routes import (
    Finder,
    NamedNodes,
    Routes,
    StaticNodes,
    SubscribedNodes,
    by_base,
    by_cache,
    by_code,
    by_pattern,
    host_of,
)


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def routes(
    time: Time, *finders: Finder, fallback: tuple[str, ...] = (), **more: bool | int
) -> Routes:
    last = StaticNodes(fallback, clock=time)
    return Routes(finders, last, clock=time, grace_s=10, **more)  # type: ignore[arg-type]


def names(found: Routes, key: str = "a.test") -> list[str]:
    return [node.name for node in found.candidates(key, "")]


def test_backends_that_failed_are_tried_last() -> None:
    time = Time()
    found = routes(time, StaticNodes(["h:1", "h:2"], clock=time), fallback=("h:3",))
    failing = next(iter(found.candidates("", "")))
    found.failed(failing)
    assert names(found) == ["h:2", "h:3", "h:1"]
    time.now = 10.0
    assert {*names(found)[:2]} == {"h:1", "h:2"}


def test_the_first_that_knows_a_key_answers() -> None:
    time = Time()
    table = Table()
    table.add("a.test", Node("h:1", TcpAddress("h", 1)))
    subscribed = SubscribedNodes(table, clock=time)
    static = StaticNodes(["h:2"], clock=time)
    found = routes(time, subscribed, static)
    assert names(found) == ["h:1"]
    assert names(found, "b.test") == ["h:2"]
    assert table.pools["a.test"].hits == 1


def test_another_key_stands_in_for_unknown_ones() -> None:
    time = Time()
    table = Table()
    table.add("all", Node("h:1", TcpAddress("h", 1)))
    found = routes(time, SubscribedNodes(table, clock=time, fallback_key="all"))
    assert names(found) == ["h:1"]


def test_an_unknown_key_has_no_fallback_in_a_strict_router() -> None:
    time = Time()
    nobody = SubscribedNodes(Table(), clock=time)
    assert names(routes(time, nobody, fallback=("h:9",), strict_key=True)) == []
    assert names(routes(time, nobody, fallback=("h:9",))) == ["h:9"]


def test_no_more_than_so_many_are_tried() -> None:
    time = Time()
    static = StaticNodes(["h:1", "h:2", "h:3"], clock=time)
    assert len(names(routes(time, static, most=2))) == 2


def test_malformed_backends_are_refused() -> None:
    for text in ("", "fd://3", "h:99999"):
        with pytest.raises(ConfigError):
            StaticNodes([text], clock=Time())


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("a.test", "a.test"),
        ("A.Test:8080", "a.test"),
        ("", ""),
        ("..", ""),
        (".hidden", ""),
        ("a/../b", ""),
        ("a..b", ""),
        ("a\0b", ""),
        ("[::1]:80", ""),
    ],
)
def test_a_key_becomes_part_of_a_path_only_if_it_leads_nowhere_else(
    key: str, host: str
) -> None:
    assert host_of(key) == host
    base = NamedNodes(by_base("/run/"))(key, "")
    pattern = NamedNodes(by_pattern("/x/%s.sock"))(key, "")
    assert [node.address for node in base or ()] == (
        [UnixAddress(f"/run/{host}")] if host else []
    )
    assert [node.address for node in pattern or ()] == (
        [UnixAddress(f"/x/{host}.sock")] if host else []
    )


def test_a_named_node_is_remembered_as_dead() -> None:
    time = Time()
    found = routes(time, NamedNodes(by_base("/run")), fallback=("h:1",))
    found.failed(next(iter(found.candidates("a", ""))))
    assert names(found, "a") == ["h:1", "/run/a"]


def test_a_cache_knows_addresses_and_modifiers() -> None:
    kept = {b"a.test": b"h:1", b"b.test:80": b"h:2,5", b"bad": b"h:1,x", b"no": b""}
    finder = NamedNodes(by_cache(kept.get))
    (node,) = finder("A.test:8080", "") or ()
    assert (node.name, node.modifier1) == ("h:1", 0)
    (node,) = finder("b.test:80", "") or ()
    assert (node.address, node.modifier1) == (TcpAddress("h", 2), 5)
    for unknown in ("bad", "no", "", "c"):
        assert finder(unknown, "") is None


@pytest.mark.parametrize(
    ("call", "address"),
    [
        (lambda key: f"/run/{key}", UnixAddress("/run/a")),
        (lambda key: b"h:1", TcpAddress("h", 1)),
        (lambda key: None, None),
        (lambda key: 5, None),
        (lambda key: "h:99999", None),
    ],
)
def test_code_finds_a_node(
    call: Callable[[str], object], address: UnixAddress | None
) -> None:
    found = NamedNodes(by_code(call, print))("a", "") or ()
    assert [node.address for node in found] == ([address] if address else [])


def test_code_that_fails_knows_nothing() -> None:
    def fails(key: str) -> object:
        raise RuntimeError("no such key")

    told: list[str] = []
    assert NamedNodes(by_code(fails, told.append))("a", "") is None
    assert told == ["code string: RuntimeError: no such key"]

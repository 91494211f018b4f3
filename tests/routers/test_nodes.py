"""Choosing between the nodes of a key."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.net.address import TcpAddress
from geuwsgi.routers.nodes import Node, Table, find_algorithm, order_nodes


def node(name: str, **more: int) -> Node:
    made = Node(name, TcpAddress(name, 1))
    for field, value in more.items():
        setattr(made, field, value)
    return made


def first(nodes: list[Node], algorithm: str, client: str = "") -> str:
    return next(iter(order_nodes(nodes, algorithm, client, 0.0))).name


def test_weights_say_how_often_a_node_has_its_turn() -> None:
    nodes = [node("light"), node("heavy", weight=3)]
    turns = [first(nodes, "wrr") for _ in range(8)]
    assert Counter(turns) == {"heavy": 6, "light": 2}
    assert turns[:4] != ["heavy"] * 3 + ["light"]  # not in one go


def test_the_least_busy_node_is_chosen() -> None:
    nodes = [node("a", references=3), node("b", references=1), node("c", references=2)]
    assert first(nodes, "lrc") == "b"
    nodes[0].weight = 10
    assert first(nodes, "wlrc") == "a"


def test_a_client_stays_with_its_node() -> None:
    nodes = [node(name) for name in "abcd"]
    clients = [f"10.0.0.{number}" for number in range(40)]
    chosen = {client: first(nodes, "iphash", client) for client in clients}
    assert len(set(chosen.values())) == 4
    gone = nodes.pop()
    for client in clients:
        if chosen[client] != gone.name:
            assert first(nodes, "iphash", client) == chosen[client]


def test_backups_are_for_when_nobody_else_is_there() -> None:
    nodes = [node("spare", backup=1), node("a"), node("last", backup=2)]
    assert [n.name for n in order_nodes(nodes, "wrr", "", 0.0)] == [
        "a",
        "spare",
        "last",
    ]
    nodes[1].dead_until = 9.0
    assert [n.name for n in order_nodes(nodes, "wrr", "", 0.0)] == [
        "spare",
        "last",
        "a",
    ]


def test_dead_nodes_come_last_and_come_back() -> None:
    nodes = [node("a", dead_until=5), node("b"), node("c", dead_until=3)]
    assert [n.name for n in order_nodes(nodes, "wrr", "", 1.0)] == ["b", "c", "a"]
    names = {first(nodes, "wrr") for _ in range(3)}
    assert names == {"b"}
    assert {n.name for n in islice(order_nodes(nodes, "wrr", "", 6.0), 3)} == set("abc")


@pytest.mark.parametrize("name", ["wrr", "WLRC", "ip-hash", "ip_hash", "rr"])
def test_algorithms_have_uwsgis_names(name: str) -> None:
    assert find_algorithm(name)


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ConfigError, match="known: iphash"):
        find_algorithm("best")


def test_a_key_is_found_without_its_port_and_in_any_case() -> None:
    table = Table()
    table.add("a.test", node("a"))
    table.add("b.test:81", node("b"))
    assert table.find("A.Test:8080") is table.pools["a.test"]
    assert table.find("b.test:81") is table.pools["b.test:81"]
    assert table.find("b.test") is None
    assert table.find("x.a.test") is None
    assert table.find("") is None


def test_news_are_asked_for_before_a_key_is_unknown() -> None:
    table = Table()
    assert table.find("a.test") is None
    asked = []

    def news() -> bool:
        asked.append(True)
        if len(asked) > 1:
            return False
        table.add("a.test", node("127.0.0.1:1"))
        return True

    table.on_missing = news
    assert table.find("a.test") is not None
    assert asked == [True]
    assert table.find("b.test") is None
    assert len(asked) == 2


def test_dots_may_split_a_key() -> None:
    table = Table(dot_split=True)
    table.add(".a.test", node("a"))
    for key in ("x.a.test", "y.x.a.test:80"):
        assert table.find(key) is table.pools[".a.test"]
    assert table.find("a.test") is None
    assert table.find("xa.test") is None


def test_silent_nodes_are_forgotten() -> None:
    changes: list[int] = []
    table = Table(tolerance_s=10, on_change=lambda: changes.append(1))
    table.add("a", node("one", told_at=0))
    table.add("a", node("two", told_at=5))
    assert [n.name for _, n in table.forget_silent(11.0)] == ["one"]
    assert [n.name for _, n in table.forget_silent(16.0)] == ["two"]
    assert not table and table.count == 0
    assert len(changes) == 4
    assert not table.remove("a", "one")

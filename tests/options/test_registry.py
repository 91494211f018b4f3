from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, Takes
from geuwsgi.options.registry import Elsewhere, Registry, Standing


class Ship(Section):
    """A ship."""

    sails: int = option("set this many sails", INT, short="s", aliases=("canvas",))
    anchor: bool = option("drop anchor", FLAG)
    anchor_chain: int = option("give this much chain", INT)


class Orders(Section):
    """Orders."""

    sink: bool = option("sink", FLAG)


REGISTRY = Registry(
    [Ship],
    directives=[Orders],
    inert={"wind": Elsewhere("comes by itself", Takes.NOTHING, ("breeze",), "w")},
    foreign={"wheels": Elsewhere("cars")},
    pending={"anchor-chain": "no chain yet"},
)


def test_an_option_is_found_by_name_and_alias() -> None:
    assert REGISTRY.option("canvas") is REGISTRY.option("sails")
    known = REGISTRY.find("canvas")
    assert known is not None
    assert (known.name, known.standing) == ("sails", Standing.WORKS)


def test_inert_and_foreign_options_are_found_with_their_reason() -> None:
    wind = REGISTRY.find("breeze")
    wheels = REGISTRY.find("wheels")
    assert wind is not None
    assert wheels is not None
    assert wind[:4] == ("wind", Takes.NOTHING, Standing.INERT, "comes by itself")
    assert wheels[:4] == ("wheels", Takes.VALUE, Standing.FOREIGN, "cars")
    assert REGISTRY.find("oars") is None


def test_a_pending_option_says_what_it_waits_for() -> None:
    known = REGISTRY.find("anchor-chain")
    assert known is not None
    assert (known.standing, known.reason) == (Standing.PENDING, "no chain yet")
    assert known.option is not None


def test_letters_lead_to_names() -> None:
    assert REGISTRY.letter("s") == "sails"
    assert REGISTRY.letter("w") == "wind"
    assert REGISTRY.letter("x") is None


def test_completions_are_all_names_with_that_beginning() -> None:
    assert REGISTRY.completions("anch") == ["anchor", "anchor-chain"]
    assert REGISTRY.completions("w") == ["wheels", "wind"]


def test_the_nearest_name_is_one_that_looks_alike() -> None:
    assert REGISTRY.nearest("achor") == "anchor"
    assert REGISTRY.nearest("anchor_chain") == "anchor-chain"
    assert REGISTRY.nearest("zzz") is None


def test_directives_are_no_settings() -> None:
    sink = REGISTRY.option("sink")
    sails = REGISTRY.option("sails")
    assert sink is not None
    assert sink.directive
    assert sails is not None
    assert not sails.directive

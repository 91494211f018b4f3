from __future__ import annotations

import pytest

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS


class Kitchen(Section):
    """What is in the kitchen."""

    pots: int = option("own this many pots", INT, default=2, short="P")
    timer: float = option("ring after this many seconds", SECONDS, at_least=0)
    is_: bool = option("be there", FLAG, aliases=("be",))
    cook: str | None = option("hire this cook", TEXT)
    spices: tuple[str, ...] = option("keep this spice", TEXTS)
    odd_name: bool = option("be odd", FLAG, name="odd_name")


def test_a_section_without_values_has_the_defaults() -> None:
    kitchen = Kitchen()
    assert (kitchen.pots, kitchen.timer, kitchen.is_) == (2, 0.0, False)
    assert (kitchen.cook, kitchen.spices) == (None, ())
    assert kitchen.changed() == {}


def test_values_are_given_by_name_and_kept() -> None:
    kitchen = Kitchen(pots=3, spices=("salt",))
    assert kitchen.pots == 3
    assert kitchen.changed() == {"pots": 3, "spices": ("salt",)}
    assert repr(kitchen) == "Kitchen(pots=3, spices=('salt',))"


def test_a_name_that_is_not_declared_is_refused() -> None:
    with pytest.raises(TypeError, match="Kitchen has no option field 'pans'"):
        Kitchen(pans=1)  # type: ignore[call-arg]


def test_a_section_cannot_be_changed() -> None:
    kitchen = Kitchen()
    with pytest.raises(AttributeError, match="Kitchen is frozen: cannot set 'pots'"):
        kitchen.pots = 5  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot delete 'pots'"):
        del kitchen.pots


def test_replace_makes_another() -> None:
    kitchen = Kitchen(pots=3)
    other = kitchen.replace(cook="Ann")
    assert (other.pots, other.cook, kitchen.cook) == (3, "Ann", None)


def test_sections_of_equal_values_are_equal() -> None:
    assert Kitchen(pots=2) == Kitchen()
    assert hash(Kitchen(pots=2)) == hash(Kitchen())
    assert Kitchen(pots=3) != Kitchen()
    assert Kitchen() != object()


def test_options_know_their_names_and_section() -> None:
    names = [declared.names for declared in Kitchen.declared]
    assert names == [
        ("pots",),
        ("timer",),
        ("is", "be"),
        ("cook",),
        ("spices",),
        ("odd_name",),
    ]
    assert {declared.section for declared in Kitchen.declared} == {"kitchen"}
    assert Kitchen.title == "What is in the kitchen"

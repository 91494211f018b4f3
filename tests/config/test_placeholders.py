from __future__ import annotations

import pytest

from geuwsgi.config.placeholders import Endless, evaluate, substitute

NAMES = {"a": "1", "b": "2", "n": "4", "word": "x y", "empty": "", "neg": "-7"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a", "1"),
        ("nothing", None),
        ("a b", "12"),
        ("n n", "44"),
        ("n + 3", "7"),
        ("n + 3 + a", "8"),
        ("4 + 5 6", "96"),
        ("8 / 0", "0"),
        ("7 / 2", "3"),
        ("neg / 2", "-3"),
        ("5 ++", "6"),
        ("5 --", "4"),
        ("a b + 1", "13"),
        ("2 * 3 a", "61"),
        ("nothing + 2", "2"),
        ("7 - 10", "-3"),
        ("7 -", "7"),
        ("empty a", "1"),
        ("9223372036854775807 + 1", "-9223372036854775808"),
        (" ", None),
        ("(4 * 2) + 1", "9"),
        ("2 * (1 + 2)", "6"),
    ],
)
def test_expressions_act_from_left_to_right(
    expression: str, expected: str | None
) -> None:
    assert evaluate(expression, NAMES.get) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%(a)", "1"),
        ("x%(a)y%(b)z", "x1y2z"),
        ("%(nothing)", "%(nothing)"),
        ("%()", "%()"),
        ("%(a", "%(a"),
        ("%a", "%a"),
        ("$(a)", "$(a)"),
        ("%(nothing) %(a)", "%(nothing) 1"),
        ("%((n * 2) + 1)", "9"),
        ("%(x%(a))", "%(x1)"),
    ],
)
def test_each_known_key_is_replaced(text: str, expected: str) -> None:
    assert substitute(text, "%", lambda key: evaluate(key, NAMES.get)) == expected


def test_what_is_put_in_is_looked_through_again() -> None:
    chain = {"a": "%(b)", "b": "%(c)!", "c": "end"}
    assert substitute("%(a)", "%", chain.get) == "end!"


def test_inner_keys_come_first() -> None:
    assert substitute("$(A$(B))", "$", {"B": "1", "A1": "x"}.get) == "x"


@pytest.mark.parametrize("value", ["%(a)", "x%(a)", "%(a)%(a)"])
def test_a_value_that_contains_itself_is_an_error(value: str) -> None:
    with pytest.raises(Endless, match=r"%\(a\) leads to itself"):
        substitute("%(a)", "%", {"a": value}.get)

from __future__ import annotations

import pytest

from geuwsgi.config.magic import MagicTable, djb33x, path_hash
from tests.config.world import World


def _lost(letter: str, line: int) -> None:
    raise AssertionError(f"{letter} in line {line} was lost")


def _table() -> MagicTable:
    table = MagicTable(World(), "1.2.3")
    table.enter("app.ini:web", path="/srv/site/app.ini", section="web", is_first=True)
    return table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%v", "/srv/site"),
        ("%V", "1.2.3"),
        ("%h", "box"),
        ("%k", "4"),
        ("%o", "app.ini:web"),
        ("%p", "/srv/site/app.ini"),
        ("%s", "app.ini"),
        ("%d", "/srv/site/"),
        ("%c", "site"),
        ("%e", "ini"),
        ("%n", "app"),
        ("%x", "web"),
        ("%i", "42"),
        ("%0-%1-%2", "srv-site-"),
        ("%t", "1700000000"),
        ("%T", "1700000000250000"),
        ("%u %U", "1000 site"),
        ("%g %G", "50 staff"),
        ("%b", "/usr/bin/geuwsgi"),
        ("%[x", "\x1bx"),
        ("100%%", "100%"),
        ("%(name)", "%(name)"),
        ("%", "%"),
    ],
)
def test_each_variable_has_its_value(text: str, expected: str) -> None:
    assert _table().expand(text, _lost) == expected


def test_the_hash_of_the_path_is_djb33x() -> None:
    assert djb33x(b"") == 5381
    # These two stood in the variable %j of uWSGI.
    assert path_hash("/tmp/tmplult_b5q/a.ini") == "138C863D"
    assert path_hash("/tmp/tmp9xgc766b/a.ini") == "1B2BE04A"
    assert _table().expand("%j", _lost) == path_hash("/srv/site/app.ini")


def test_upper_case_variables_stay_with_the_first_file() -> None:
    table = _table()
    table.enter("b.yml", path="/etc/b.yml", section="", is_first=True)
    text = "%o %O %s %S %d %D %x %X"
    assert table.expand(text, _lost) == (
        "b.yml app.ini:web b.yml app.ini /etc/ /srv/site/  web"
    )


def test_a_file_that_is_not_first_sets_no_upper_case_variable() -> None:
    table = MagicTable(World(), "1")
    table.enter("a.ini", path="/a.ini", section="", is_first=False)
    assert table.expand("%o|%O", _lost) == "a.ini|"


def test_an_unknown_letter_becomes_nothing_and_is_told() -> None:
    lost = []
    text = _table().expand("a\nb %q c", lambda *pair: lost.append(pair))
    assert text == "a\nb  c"
    assert lost == [("q", 2)]


def test_a_percent_sign_does_not_swallow_the_end_of_its_line() -> None:
    assert _table().expand("a = 5%\nb = 6", _lost) == "a = 5%\nb = 6"

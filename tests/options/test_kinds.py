from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.options.kinds import (
    BYTES,
    FLAG,
    INT,
    KIB,
    MIB,
    MODE,
    SECONDS,
    TEXT,
    TEXTS,
    Bounds,
    Kind,
    Reading,
)

ANY = Bounds()
NATURAL = Bounds(at_least=0, when_true=7, default=3)


@pytest.mark.parametrize("text", [None, "", "true", "TRUE", "yes", "on", "1", " on "])
def test_a_flag_is_on_for_every_way_to_say_so(text: str | None) -> None:
    assert FLAG.read(text, ANY) == Reading(True)


@pytest.mark.parametrize("text", ["false", "False", "no", "off", "OFF", "0", " no "])
def test_a_flag_is_off_for_the_four_words_of_uwsgi(text: str) -> None:
    assert FLAG.read(text, ANY) == Reading(False)


def test_a_comment_behind_false_does_not_make_it_true() -> None:
    reading = FLAG.read("false # for now", ANY)
    assert not reading.value
    assert reading.note == "'false # for now' reads as false, comment left out"


def test_any_other_word_is_true_and_noted() -> None:
    reading = FLAG.read("maybe", ANY)
    assert reading.value
    assert reading.note == "'maybe' is neither true nor false; it reads as true"


@pytest.mark.parametrize(
    ("text", "value"), [("4", 4), (" 4", 4), ("+4", 4), ("007", 7), ("0", 0)]
)
def test_numbers_are_decimal(text: str, value: int) -> None:
    assert INT.read(text, ANY) == Reading(value)


@pytest.mark.parametrize(
    ("text", "value", "note"),
    [
        ("400  # cores", 400, "'400  # cores' reads as 400, comment left out"),
        ("60 ; s", 60, "'60 ; s' reads as 60, comment left out"),
        ("true", 7, "'true' is not a number; 7 is used"),
        ("", 7, "no number is given; 7 is used"),
        (None, 7, ""),
        ("off", 0, "'off' reads as 0"),
        ("3x", 3, "'3x' reads as 3; what follows the number is ignored"),
        ("2.5", 2, "'2.5' reads as 2; what follows the number is ignored"),
    ],
)
def test_what_uwsgi_misreads_is_read_as_meant(
    text: str | None, value: int, note: str
) -> None:
    assert INT.read(text, NATURAL) == Reading(value, note)


def test_true_is_the_default_if_no_number_is_declared_for_it() -> None:
    assert INT.read("true", Bounds(default=3)).value == 3


@pytest.mark.parametrize("text", ["many", "x1", "$(N)", "-"])
def test_what_is_no_number_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number$"):
        INT.read(text, NATURAL)


def test_numbers_keep_to_their_bounds() -> None:
    with pytest.raises(ValueError, match="'-1' is below 0"):
        INT.read("-1", NATURAL)
    with pytest.raises(ValueError, match="'9' is above 8"):
        INT.read("9", Bounds(at_most=8))
    assert INT.read("-1", ANY).value == -1


def test_seconds_may_have_fractions_and_units() -> None:
    assert SECONDS.read("2.5", ANY) == Reading(2.5)
    reading = SECONDS.read("5m", ANY)
    assert reading.value == 300
    assert reading.note == "'5m' reads with its unit, uWSGI ignores units"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (BYTES, "4096", 4096),
        (BYTES, "64k", 65536),
        (BYTES, "64KB", 65536),
        (MIB, "512", 512 << 20),
        (MIB, "1g", 1 << 30),
        (KIB, "1024", 1 << 20),
    ],
)
def test_sizes_are_bytes_at_last(kind: Kind[int], text: str, value: int) -> None:
    assert kind.read(text, ANY).value == value


@pytest.mark.parametrize(
    ("text", "value"), [("660", 0o660), ("0660", 0o660), ("0o755", 0o755), ("1", 0o666)]
)
def test_modes_are_octal(text: str, value: int) -> None:
    assert MODE.read(text, ANY) == Reading(value)


def test_a_mode_alone_lets_everybody_in_and_true_does_so_with_a_note() -> None:
    assert MODE.read(None, ANY) == Reading(0o666)
    assert MODE.read("true", ANY) == Reading(
        0o666, "'true' reads as 666; uWSGI refuses it"
    )


@pytest.mark.parametrize("text", ["9", "66", "668", "rw", "06660"])
def test_what_is_no_mode_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="three octal digits"):
        MODE.read(text, ANY)


def test_texts_stay_as_they_are() -> None:
    assert TEXT.read(" a # b ", ANY) == Reading(" a # b ")
    assert TEXT.read(None, ANY) == Reading("")
    assert TEXTS.read("a,b", ANY) == Reading(("a,b",))


@given(
    st.sampled_from([FLAG, INT, SECONDS, BYTES, MIB, MODE, TEXT, TEXTS]),
    st.text() | st.none(),
)
def test_any_text_gives_a_value_or_a_sentence(
    kind: Kind[object], text: str | None
) -> None:
    try:
        reading = kind.read(text, NATURAL)
    except ValueError as exc:
        assert str(exc).startswith(repr(text))
    else:
        assert isinstance(reading.note, str)

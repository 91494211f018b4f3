from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from geuwsgi.api.cache import cache_functions
from geuwsgi.cache.caches import Caches
from geuwsgi.cache.spec import CacheSpec
from tests.api.answers import compare

Functions = dict[str, Callable[..., Any]]
Make = Callable[..., Functions]


@pytest.fixture
def make() -> Iterator[Make]:
    made = []

    def make(*specs: str) -> Functions:
        caches = Caches.create([CacheSpec.parse(spec) for spec in specs])
        made.append(caches)
        return {f.__name__: f for f in cache_functions(caches)}

    yield make
    for caches in made:
        caches.close()


# uWSGI's caches hold one item less than they are told to; ours hold all.


def test_a_plain_cache_answers_as_uwsgi(make: Make) -> None:
    functions = make("name=c1,items=5,blocksize=1000,keysize=100")
    assert compare("cache", functions) == []


def test_a_bitmap_cache_answers_as_uwsgi(make: Make) -> None:
    functions = make("name=c1,items=11,blocksize=10,blocks=12,bitmap=1")
    assert compare("cache_bitmap", functions) == []


def test_an_lru_cache_answers_as_uwsgi(make: Make) -> None:
    assert compare("cache_lru", make("name=c1,items=4,purge_lru=1")) == []


def test_without_a_cache_functions_answer_as_uwsgi(make: Make) -> None:
    assert compare("cache_none", make()) == []


def test_values_may_be_any_kind_of_bytes(make: Make) -> None:
    api = make("name=c,items=5")
    assert api["cache_set"](bytearray(b"a"), memoryview(b"value"))
    assert api["cache_get"]("a") == b"value"


def test_an_item_ends_when_its_time_has_come(make: Make) -> None:
    api = make("name=c,items=5")
    assert api["cache_set"]("a", "value", -1)
    assert api["cache_get"]("a") is None
    assert api["cache_update"]("a", "value", 1000)
    assert api["cache_get"]("a") == b"value"
    assert api["cache_inc"]("n", 1, 1000, "c")
    assert api["cache_num"]("n", "c") == 1


def test_numbers_begin_with_math_initial(make: Make) -> None:
    api = make("name=c,items=5,math_initial=7")
    api["cache_inc"]("n")
    assert api["cache_num"]("n") == 8

from __future__ import annotations

import pytest

from geuwsgi.cache.spec import CacheSpec, cache_specs
from geuwsgi.errors import ConfigError
from geuwsgi.options.cache import Cache


def test_a_line_gives_a_specification() -> None:
    spec = CacheSpec.parse("name=x,items=100,blocksize=1k,keysize=64,bitmap=1,lru=1")
    assert spec == CacheSpec(
        name="x", items=100, blocksize=1024, keysize=64, bitmap=True, purge_lru=True
    )


def test_defaults_are_those_of_uwsgi() -> None:
    spec = CacheSpec.parse("name=x,maxitems=5")
    assert (spec.blocksize, spec.keysize, spec.hashsize) == (65536, 2048, 65536)
    assert (spec.hash, spec.math_initial, spec.bitmap) == ("djb33x", 0, False)


def test_commas_may_be_escaped_and_blanks_do_not_matter() -> None:
    spec = CacheSpec.parse(r"name=a\,b, items = 3 ,store=/tmp/x\,y")
    assert (spec.name, spec.items, spec.store) == ("a,b", 3, "/tmp/x,y")


def test_lists_have_semicolons() -> None:
    spec = CacheSpec.parse("name=x,items=3,nodes=127.0.0.1:1;127.0.0.1:2,udp=:3")
    assert spec.node == ("127.0.0.1:1", "127.0.0.1:2")
    assert spec.udp == (":3",)


def test_flags_may_stand_alone_and_may_be_off() -> None:
    spec = CacheSpec.parse("name=x,items=3,bitmap,purge_lru=0,ignore_full=false")
    assert (spec.bitmap, spec.purge_lru, spec.ignore_full) == (True, False, False)


def test_unknown_keys_are_remembered() -> None:
    assert CacheSpec.parse("name=x,items=3,itms=4,foo").unknown == ("itms", "foo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("items=4", "a cache needs a name"),
        ("", "a cache needs a name"),
        ("name=x", "the maximum number of items is missing"),
        ("name=x,items=0", "the maximum number of items is missing"),
        ("name=x,items=abc", "'abc' is no number"),
        ("name=x,items=-1", "'-1' is no number"),
        ("name=x,items=4,blocks=2", "2 blocks cannot hold 4 items"),
        ("name=x,items=4,blocks=9999999999", "too many"),
        ("name=x,items=4,blocksize=0", "blocksize of 0"),
        ("name=x,items=4,blocksize=4g", "blocksize of 4294967296"),
        ("name=x,items=4,keysize=65536", "keysize of 65536"),
        ("name=x,items=4,hash=foo", "there is no hash 'foo'"),
        ("name=x,items=4,math_initial=9223372036854775808", "64-bit"),
        ("name=x,items=4,timeout=soon", "not a number of seconds"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CacheSpec.parse(text, "app.ini:3")


def test_it_goes_over_the_wire() -> None:
    spec = CacheSpec.parse("name=x,items=3,nodes=a:1;b:2,math_initial=-5")
    assert CacheSpec.from_wire(spec.to_wire()) == spec


def test_the_old_option_is_the_first_cache() -> None:
    section = Cache(cache=10, cache_blocksize=100, cache2=("name=a,items=1",))
    assert [(spec.name, spec.items) for spec in cache_specs(section)] == [
        ("default", 10),
        ("a", 1),
    ]


def test_two_caches_need_two_names() -> None:
    with pytest.raises(ConfigError, match="two caches with the name 'a'"):
        cache_specs(Cache(cache2=("name=a,items=1", "name=a,items=2")))

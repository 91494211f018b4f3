from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.cache.caches import Caches
from geuwsgi.cache.preload import preload
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.errors import StartupError
from geuwsgi.options.cache import Cache
from tests.cache.test_caches import Log


@pytest.fixture
def caches() -> Iterator[Caches]:
    texts = ("name=one,items=10,blocksize=100", "name=two,items=10")
    caches = Caches.create([CacheSpec.parse(text) for text in texts], log=Log())
    yield caches
    caches.close()


def test_items_and_files_are_stored(caches: Caches, tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.write_text("text" * 10)
    section = Cache(
        add_cache_item=("key=value=more", "two other=x", "three x=y"),
        load_file_in_cache=(f"two {path}", str(path)),
        load_file_in_cache_gzip=(f"two {path}",),
    )
    log = Log()
    preload(caches, section, log)
    one, two = caches
    assert one.get(b"key") == b"value=more"
    assert one.get(b"three x") == b"y"
    assert two.get(b"other") == b"x"
    assert one.get(bytes(path)) == two.get(bytes(path)) == b"text" * 10
    compressed = two.get(bytes(path) + b".gz")
    assert compressed is not None and gzip.decompress(compressed) == b"text" * 10
    assert len(log) == 6


def test_what_cannot_be_stored_is_told(caches: Caches, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 101)
    for section, message in (
        (Cache(add_cache_item=("key",)), "cannot store 'key'"),
        (Cache(load_file_in_cache=("/missing",)), "/missing: No such file"),
        (Cache(load_file_in_cache=(str(large),)), r"\(101 bytes\) does not fit"),
    ):
        with pytest.raises(StartupError, match=message):
            preload(caches, section, Log())
    with pytest.raises(StartupError, match="there is no cache"):
        preload(Caches(()), Cache(add_cache_item=("a=b",)), Log())

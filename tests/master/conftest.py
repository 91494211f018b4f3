"""A small site with a master, for tests of its processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.testing.fixtures import geuwsgi_server
from tests.master.site import Site

__all__ = ["geuwsgi_server"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site in a directory of its own; its processes end with the test."""
    made = Site(tmp_path)
    yield made
    made.close()

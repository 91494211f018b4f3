"""Which packets are answered, and by what; which sockets are others'."""

from __future__ import annotations

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.worker.mapping import sockets_of_others
from geuwsgi.worker.modifiers import modifiers_of


def service(connection: object, modifier2: int, received: bytes) -> None:
    """Answer nothing."""


SERVICES = {111: service, 173: service}


def test_modifier_30_is_a_request_too() -> None:
    assert modifiers_of(SERVICES, allowed=None, remap=None) == {30: None, **SERVICES}


def test_only_what_is_allowed_is_answered() -> None:
    found = modifiers_of(SERVICES, allowed="0, 173", remap=None)
    assert found == {173: service}


def test_one_modifier_is_taken_for_another() -> None:
    found = modifiers_of(SERVICES, allowed=None, remap="5:0,6:111")
    assert found[5] is None
    assert found[6] is service


@pytest.mark.parametrize(
    ("allowed", "remap"),
    [("x", None), ("256", None), (None, "5"), (None, "5:256"), (None, "5:7")],
)
def test_modifiers_that_make_no_sense_are_refused(
    allowed: str | None, remap: str | None
) -> None:
    with pytest.raises(ConfigError):
        modifiers_of(SERVICES, allowed=allowed, remap=remap)


@pytest.mark.parametrize(
    ("worker", "others"), [(1, {1}), (2, {0}), (3, {0, 1}), (4, {0, 1})]
)
def test_a_worker_leaves_sockets_to_those_they_are_mapped_to(
    worker: int, others: set[int]
) -> None:
    assert sockets_of_others(["0:1", "1:2"], worker, 3) == others


def test_lines_of_one_socket_add_up() -> None:
    assert sockets_of_others(["0:1,2", "0:3"], 3, 1) == set()


@pytest.mark.parametrize("line", ["0", "0:", "x:1", "0:1,y", "5:1"])
def test_a_mapping_that_makes_no_sense_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match="map-socket"):
        sockets_of_others([line], 1, 2)

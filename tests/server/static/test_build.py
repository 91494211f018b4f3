"""From options to the stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.options import Offload, Static
from geuwsgi.server.static.build import file_service, static_files
from geuwsgi.server.static.stage import StaticFiles


def stage_of(static: Static) -> StaticFiles | None:
    return static_files(static, file_service(static, Offload()))


def test_without_options_there_is_no_stage() -> None:
    assert stage_of(Static()) is None


@pytest.mark.parametrize(
    "static",
    [
        Static(static_map=("/a=/srv",)),
        Static(static_map2=("/a=/srv",)),
        Static(check_static=("/srv",)),
        Static(check_static_docroot=True),
    ],
)
def test_each_way_to_serve_files_makes_a_stage(static: Static) -> None:
    assert stage_of(static) is not None


@pytest.mark.parametrize(
    "static",
    [
        Static(static_map=("/a",)),
        Static(static_expires=("( 60",)),
        Static(static_expires_uri=("/a",)),
        Static(static_gzip=("[",)),
        Static(mimefile=("/no/such/file",)),
    ],
)
def test_rules_without_sense_are_refused(static: Static) -> None:
    with pytest.raises(ConfigError):
        stage_of(static)


def test_mime_files_replace_the_types_of_the_machine(tmp_path: Path) -> None:
    table = tmp_path / "types"
    table.write_text("text/x-own own\n")
    service = file_service(Static(mimefile=(str(table),)), Offload())
    assert service.mime.type_of("a.own") == "text/x-own"
    assert service.mime.type_of("a.css") is None
    assert file_service(Static(), Offload()).mime.type_of("a.css") == "text/css"

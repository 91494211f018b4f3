from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.shared.areas import SharedAreas


def test_lines_give_areas_in_order(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("r+b") as file:
        areas = SharedAreas.create(
            [
                "2",
                "pages=1,size=100",
                f"file={path}",
                f"file={path},offset=4,size=3",
                f"fd={file.fileno()},size=20",
            ],
            ["33"],
        )
    sizes = [len(area.memory) for area in areas.areas]
    assert sizes == [8192, 100, 10, 3, 20, 33]
    assert areas.areas[3].read(0, 3) == b"456"
    areas.areas[2].write(4, b"xyz")
    assert areas.areas[3].read(0, 0) == b"xyz"
    assert path.read_bytes() == b"0123xyz789" + bytes(10)
    areas.close()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0", "gives no size"),
        ("", "gives no size"),
        ("pages=x", "pages=x is no number"),
        ("ptr=5,size=3", "'ptr' is not supported"),
    ],
)
def test_wrong_lines_are_told(line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SharedAreas.create([line])
    with pytest.raises(ConfigError, match="no number of bytes"):
        SharedAreas.create([], ["x"])


def test_files_that_cannot_be_mapped_are_told(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot map"):
        SharedAreas.create([f"file={tmp_path}/missing/file,size=3"])
    with pytest.raises(StartupError, match="no size is given"):
        SharedAreas.create([f"file={tmp_path}/empty"])
    with pytest.raises(StartupError, match="cannot map"):
        SharedAreas.create(["fd=999,size=3"])


def test_another_process_sees_the_areas() -> None:
    areas = SharedAreas.create(["1"], ["50"])
    wire = json.loads(json.dumps(areas.to_wire()))
    for entry in (*wire["areas"], wire["control"], wire["locks"]):
        region = entry.get("region", entry)
        region["fd"] = os.dup(region["fd"])
    other = SharedAreas.from_wire(wire)
    areas.areas[1].write_number(8, 8, -5)
    assert other.areas[1].read_number(8, 8) == -5
    assert len(other.areas[1].memory) == 50
    assert other.areas[1].is_bytearray
    other.announce_update(1)
    assert areas.updates(1) == 1


def test_numbers_are_cut_to_their_width() -> None:
    area = SharedAreas.create(["1"]).areas[0]
    area.write_number(0, 2, 0x1FFFF)
    assert area.read_number(0, 2) == -1
    area.add(0, 4, 5)
    assert area.read_number(0, 4) == 0xFFFF + 5

"""What a fresh interpreter does before everything else."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from geuwsgi.worker.start import may_have_plugins

_PLUGIN = "[gevent.plugins.monkey.will_patch_all]\nown = own_plugin:hear\n"

_GEVENTS_OWN = """
[gevent.plugins.monkey.will_patch_all]
signal_os_incompat = gevent.monkey:_subscribe_signal_os

[console_scripts]
gevent-tool = tool:main
"""


def _install(directory: Path, name: str, entry_points: str) -> None:
    (directory / name).mkdir()
    (directory / name / "entry_points.txt").write_text(entry_points)
    (directory / name / "METADATA").write_text("Name: own\nVersion: 1\n")


@pytest.mark.parametrize("name", ["own-1.dist-info", "own.egg-info", "EGG-INFO"])
def test_a_plugin_for_gevents_patching_is_found(tmp_path: Path, name: str) -> None:
    _install(tmp_path, name, _PLUGIN)
    assert may_have_plugins([str(tmp_path)], [PathFinder])


def test_other_entry_points_are_no_plugins(tmp_path: Path) -> None:
    _install(tmp_path, "own-1.dist-info", "[console_scripts]\nown = own:main\n")
    _install(tmp_path, "gevent-1.dist-info", _GEVENTS_OWN)
    assert not may_have_plugins(["", str(tmp_path), "/nowhere"], [PathFinder])


def test_what_a_look_at_directories_does_not_tell_may_have_plugins(
    tmp_path: Path,
) -> None:
    class Finder:
        def find_distributions(self) -> None: ...

    (tmp_path / "own.zip").touch()
    assert may_have_plugins([str(tmp_path / "own.zip")], [PathFinder])
    assert may_have_plugins([], [PathFinder, Finder()])


def test_a_plugin_beside_gevents_own_is_found(tmp_path: Path) -> None:
    beside = _GEVENTS_OWN.replace("\n\n", "\nown = own:hear\n\n")
    _install(tmp_path, "own-1.dist-info", beside)
    assert may_have_plugins([str(tmp_path)], [PathFinder])


@pytest.mark.parametrize("is_there", [True, False])
def test_plugins_hear_of_the_patching(tmp_path: Path, is_there: bool) -> None:
    (tmp_path / "own_plugin.py").write_text("def hear(event): print('heard')\n")
    if is_there:
        _install(tmp_path, "own-1.dist-info", _PLUGIN)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "from geuwsgi.worker.start import _patch; _patch();"
        "from gevent import events, monkey; assert monkey.is_module_patched('socket');"
        "assert 'entry_points' in events.notify_and_call_entry_points.__name__"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.returncode) == ("heard\n" * is_there, 0), done.stderr

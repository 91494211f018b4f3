from __future__ import annotations

import pytest

from geuwsgi.config import Configuration, Exit, load
from geuwsgi.errors import ConfigErrors
from tests.config.world import World, read_in

INI = """\
[uwsgi]
http = :8000
socket = /run/app.sock
gevent = 100
harakiri = 2.5
env = A=1
env = B=2
chmod-socket = 660
strictly = mine
thunder-lock = true
umlaut = \udcff
"""


def _configuration() -> Configuration:
    return read_in(World({"a.ini": INI}), "-M", "--ini", "a.ini").configuration


def test_a_configuration_survives_json() -> None:
    configuration = _configuration()
    again = Configuration.from_json(configuration.to_json())
    for part in Configuration.__slots__:
        assert getattr(again, part) == getattr(configuration, part), part
    assert again.settings.process.env == ("A=1", "B=2")
    assert again.settings.sockets.chmod_socket == 0o660


def test_opt_holds_bytes_and_true_for_flags_that_stood_alone() -> None:
    opt = _configuration().opt
    assert opt["master"] is True
    assert opt["thunder-lock"] == b"true"
    assert opt["strictly"] == b"mine"
    assert opt["umlaut"] == b"\xff"
    assert opt["env"] == b"B=2"


def test_show_prints_an_ini_file_in_the_order_of_reading() -> None:
    shown = _configuration().show()
    assert shown.startswith(
        ";uWSGI instance configuration\n[uwsgi]\nmaster = true\nini = a.ini\n"
    )
    assert shown.endswith(";end of configuration\n")
    assert read_in(World({"b.ini": shown, "a.ini": INI}), "b.ini").errors == []


def test_the_magic_table_is_that_of_the_last_file() -> None:
    assert _configuration().magic_table["s"] == "a.ini"
    assert _configuration().magic_table["%"] == "%"


def test_commands_are_kept_apart_from_settings() -> None:
    configuration = read_in(World(), "--stop", "/run/pid").configuration
    assert configuration.commands.stop == "/run/pid"
    assert "stop" not in configuration.settings.process.changed()


def test_load_raises_everything_that_is_wrong_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(["--nix", "--processes", "x"], {}, host=World())
    assert str(caught.value) == (
        "command line: unknown option '--nix'\n"
        "command line: processes: 'x' is not a number"
    )


def test_load_raises_the_exit_that_is_asked_for() -> None:
    with pytest.raises(Exit) as caught:
        load(["--exit=3"], {}, host=World())
    assert caught.value.status == 3


def test_load_reads_the_machine_itself() -> None:
    configuration = load([], {"UWSGI_MODE": "real"})
    assert configuration.settings.process.mode == "real"
    assert 0 < configuration.settings.sockets.listen <= 4096

from __future__ import annotations

import pytest

from geuwsgi.config import ListenerSpec, Topic
from geuwsgi.options import Settings
from geuwsgi.options.pending import PENDING
from tests.config.world import World, errors, notes, read_in, read_ini


def test_without_a_configuration_everything_has_its_default() -> None:
    loading = read_in(World(somaxconn=128))
    expected = Settings().sockets.replace(listen=128)
    assert loading.configuration.settings == Settings(sockets=expected)


@pytest.mark.parametrize(
    ("limit", "backlog"), [(128, 128), (4096, 4096), (65535, 4096), (0, 128)]
)
def test_the_backlog_is_the_kernels_limit_up_to_4096(limit: int, backlog: int) -> None:
    loading = read_in(World(somaxconn=limit))
    assert loading.configuration.settings.sockets.listen == backlog


def test_a_backlog_that_is_set_stays() -> None:
    settings = read_ini("listen = 9999").configuration.settings
    assert settings.sockets.listen == 9999


def test_aliases_set_their_option() -> None:
    settings = read_ini("venv = /v\nworkers = 3\nwsgi = m:a").configuration.settings
    assert settings.python.home == "/v"
    assert settings.python.module == "m:a"
    assert settings.workers.processes == 3


def test_all_wrong_values_are_told_together_with_their_places() -> None:
    assert errors(read_ini("processes = many\nharakiri = -1\nchmod-socket = 9")) == [
        "app.ini:2: processes: 'many' is not a number",
        "app.ini:3: harakiri: '-1' is below 0",
        "app.ini:4: chmod-socket: '9' is not a mode of three octal digits, as in 660",
    ]


def test_a_wrong_value_with_an_unset_variable_names_it() -> None:
    assert errors(read_ini("workers = $(WORKERS)")) == [
        "app.ini:2: workers: '$(WORKERS)' is not a number;"
        " the variable WORKERS is not set"
    ]


def test_a_choice_that_is_none_is_an_error() -> None:
    assert errors(read_ini("wsgi-env-behavior = holly")) == [
        "app.ini:2: wsgi-env-behavior: 'holly' is none of holy, cheat"
    ]


def test_a_value_read_otherwise_than_by_uwsgi_is_noted() -> None:
    loading = read_ini("http-keepalive = true\ngevent = 400  # cores")
    settings = loading.configuration.settings
    assert settings.http.http_keepalive == 1
    assert settings.workers.gevent == 400
    assert notes(loading) == [
        "app.ini:2: http-keepalive: 'true' is not a number; 1 is used",
        "app.ini:3: gevent: '400  # cores' reads as 400, comment left out",
    ]


def test_an_unknown_name_in_a_file_is_a_note_with_the_nearest_name() -> None:
    loading = read_ini("harakriri = 30\nzzzzz = 1")
    assert errors(loading) == []
    assert notes(loading) == [
        "app.ini:2: unknown option 'harakriri'; did you mean 'harakiri'?",
        "app.ini:3: unknown option 'zzzzz'",
    ]


def test_names_that_differ_only_in_underscores_or_case_are_near() -> None:
    assert notes(read_ini("Wsgi_File = x.py")) == [
        "app.ini:2: unknown option 'Wsgi_File'; did you mean 'wsgi-file'?"
    ]


def test_variables_that_are_used_are_not_unknown() -> None:
    assert notes(read_ini("base = /srv\nchdir = %(base)\nset-ph = other=1")) == []


def test_strict_makes_unknown_names_errors_wherever_it_stands() -> None:
    assert errors(read_ini("harakriri = 30\nstrict = true")) == [
        "app.ini:2: unknown option 'harakriri'; did you mean 'harakiri'?"
    ]


def test_an_option_without_effect_is_noted_once() -> None:
    assert notes(read_ini("plugins = python3\nplugin = gevent\nthunder-lock = 1")) == [
        "app.ini:2: plugins: has no effect here: all plugins are built in",
        "app.ini:4: thunder-lock: has no effect here: each connection wakes one worker",
    ]


def test_options_of_other_languages_are_refused() -> None:
    assert errors(read_ini("php-ini = /etc/php.ini")) == [
        "app.ini:2: php-ini: belongs to PHP, which geuwsgi does not serve"
        " ('ignore-foreign' skips such options)"
    ]


def test_options_of_other_languages_are_skipped_if_that_is_asked_for() -> None:
    loading = read_ini("ignore-foreign = true\nphp-ini = /etc/php.ini")
    assert errors(loading) == []
    [note] = loading.configuration.notes
    assert note.topic is Topic.FOREIGN
    assert str(note) == "app.ini:3: php-ini: belongs to PHP; skipped"


def test_options_turn_on_what_they_need() -> None:
    settings = read_ini("cron = -1 -1 -1 -1 -1 date").configuration.settings
    assert settings.process.master
    settings = read_ini("log-maxsize = 1000").configuration.settings
    assert settings.logging.log_master


def test_listeners_keep_the_order_of_their_lines() -> None:
    loading = read_ini("socket = :3031\nhttp = :80\nuwsgi-socket = /x.sock")
    assert loading.configuration.listeners == (
        ListenerSpec("socket", ":3031", "app.ini:2"),
        ListenerSpec("http", ":80", "app.ini:3"),
        ListenerSpec("uwsgi-socket", "/x.sock", "app.ini:4"),
    )


def test_the_kind_of_a_listener_is_the_canonical_name() -> None:
    [spec] = read_in(World(), "--httprouter", ":80").configuration.listeners
    assert spec.kind == "http"


def test_early_variables_are_variables() -> None:
    settings = read_ini("env = A=1\nienv = B=2").configuration.settings
    assert settings.process.env == ("B=2", "A=1")


def test_a_pending_option_is_read_and_noted_once() -> None:
    name = next(iter(PENDING))
    loading = read_ini(f"{name} = 1\n{name} = 1")
    assert errors(loading) == []
    [note] = [n for n in loading.configuration.notes if n.topic is Topic.PENDING]
    assert str(note) == (
        f"app.ini:2: {name}: accepted, not in effect yet: {PENDING[name]}"
    )

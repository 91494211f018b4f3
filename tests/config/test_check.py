from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from geuwsgi.config import Configuration
from geuwsgi.config.check import check, format_report, main
from geuwsgi.errors import ConfigError
from tests.config.world import World


def _run(*argv: str, environ: Mapping[str, str] | None = None) -> tuple[int, str]:
    out = io.StringIO()
    status = main(argv, environ or {}, out)
    return status, out.getvalue()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write(site: Path, *lines: str, name: str = "app.ini") -> None:
    (site / name).write_text("\n".join(["[uwsgi]", *lines, ""]))


def test_a_clean_configuration_has_status_0(site: Path) -> None:
    _write(site, "http = :8000", "master = true", "module = app")
    status, text = _run("app.ini", "--strict")
    assert status == 0
    assert text.splitlines()[-1] == "3 options, 0 warnings, 0 errors"


def test_the_table_tells_what_comes_of_each_option(site: Path) -> None:
    _write(
        site,
        "master = true",
        "harakiri = 30",
        "plugins = python3",
        "base = /srv",
        "chdir = %(base)",
    )
    report = check(["app.ini"], {})
    assert [(row.name, row.status, row.detail) for row in report.rows] == [
        ("master", "works", ""),
        (
            "harakiri",
            "works, differs",
            "ends one request; uWSGI kills the worker and all requests in it",
        ),
        ("plugins", "without effect", "all plugins are built in"),
        ("base", "variable", ""),
        ("chdir", "works", ""),
    ]


def test_a_warning_counts_only_under_strict(site: Path) -> None:
    _write(site, "processes = 4  # cores", "master = 1")
    assert _run("app.ini")[0] == 0
    status, text = _run("app.ini", "--strict")
    assert status == 1
    assert "warning: app.ini:2: processes: '4  # cores' reads as 4" in text


def test_an_unknown_option_is_an_error(site: Path) -> None:
    _write(site, "harakriri = 30")
    status, text = _run("app.ini")
    assert status == 2
    assert (
        "error: app.ini:2: unknown option 'harakriri'; did you mean 'harakiri'?" in text
    )


def test_an_unknown_name_in_the_environment_is_a_warning(site: Path) -> None:
    status, text = _run("--master", environ={"UWSGI_USER": "www"})
    assert status == 0
    assert "warning: environment UWSGI_USER: unknown option 'user'" in text


def test_errors_of_all_kinds_are_told_together(site: Path) -> None:
    _write(site, "processes = x", "include = gone.ini", "rack = a", "nix = 1")
    status, text = _run("app.ini", "--nope")
    assert status == 2
    assert text.splitlines()[-1] == "4 options, 0 warnings, 5 errors"


def test_judges_add_what_only_they_can_tell(site: Path) -> None:
    _write(site, "http = :99999")

    def judge(configuration: Configuration) -> Iterator[ConfigError]:
        for kind, address, origin in configuration.listeners:
            yield ConfigError(f"{kind}: {address} is no address", origin)

    report = check(["app.ini"], {}, judges=[judge])
    assert report.errors == ["app.ini:2: http: :99999 is no address"]


def test_options_may_follow_the_file(site: Path) -> None:
    _write(site, "processes = 2")
    report = check(["app.ini", "-p", "3", "--master"], {})
    assert [row.origin for row in report.rows] == [
        "command line",
        "command line",
        "app.ini:2",
    ]


def test_json_holds_the_same(site: Path) -> None:
    _write(site, "processes = x")
    status, text = _run("app.ini", "--json")
    document = json.loads(text)
    assert (status, document["status"]) == (2, 2)
    assert document["errors"] == ["app.ini:2: processes: 'x' is not a number"]
    assert document["options"][0]["name"] == "processes"


def test_nothing_to_check_prints_the_usage() -> None:
    assert _run()[0] == 2
    status, text = _run("--help")
    assert status == 0
    assert text.startswith("usage: geuwsgi check CONFIG")


def test_an_empty_report_is_a_count() -> None:
    report = check([], {}, host=World())
    assert format_report(report) == "0 options, 0 warnings, 0 errors\n"


def test_files_of_other_servers_are_translated(site: Path) -> None:
    (site / "gunicorn.conf.py").write_text("workers = 3\n")
    (site / "unit.json").write_text(
        '{"listeners": {"*:80": {"pass": "applications/a"}}, "applications": {}}'
    )
    status, text = _run("gunicorn.conf.py", "unit.json")
    assert status == 0
    assert "processes = 3\n" in text
    assert "http = :80\n" in text


def test_a_json_file_of_uwsgi_is_checked(site: Path) -> None:
    (site / "app.json").write_text('{"uwsgi": {"processes": 3}}')
    status, text = _run("app.json")
    assert status == 0
    assert "processes = 3" in text


def test_a_broken_file_of_another_server_is_an_error(site: Path) -> None:
    (site / "gunicorn.conf.py").write_text("workers = (\n")
    status, text = _run("gunicorn.conf.py")
    assert status == 2
    assert text.startswith("error: gunicorn.conf.py:1: not Python")
    assert _run("gone.conf.py")[0] == 2

"""Which application answers which request."""

from __future__ import annotations

from typing import Any

import pytest

from geuwsgi.wsgi.applications import Applications


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return [b""]


def mounted(*mountpoints: str, **options: bool | str) -> Applications:
    applications = Applications(**options)  # type: ignore[arg-type]
    for mountpoint in mountpoints:
        applications.add(mountpoint, app)
    return applications


def answered(applications: Applications, **environ: str) -> str | None:
    found = applications.find(dict(environ))
    return None if found is None else found.mountpoint


def routed(applications: Applications, path: str) -> tuple[str | None, Any, Any]:
    environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path}
    found = applications.find(environ)
    mountpoint = None if found is None else found.mountpoint
    return mountpoint, environ["SCRIPT_NAME"], environ["PATH_INFO"]


def test_applications_are_numbered_as_they_come() -> None:
    assert [one.number for one in mounted("", "/a", "/b")] == [0, 1, 2]


def test_the_only_application_answers_everything() -> None:
    assert answered(mounted(""), SCRIPT_NAME="/what") == ""
    assert answered(mounted("/a"), SCRIPT_NAME="") == "/a"
    assert answered(mounted("/a")) == "/a"


def test_script_name_selects() -> None:
    applications = mounted("/a", "/b")
    assert answered(applications, SCRIPT_NAME="/b") == "/b"
    assert answered(applications, SCRIPT_NAME="/b/") == "/b"


def test_an_application_id_comes_before_the_script_name() -> None:
    applications = mounted("/a", "/b")
    assert answered(applications, SCRIPT_NAME="/a", UWSGI_APPID="/b") == "/b"


def test_the_first_mounted_application_is_the_default() -> None:
    assert answered(mounted("/a", "/b"), SCRIPT_NAME="/c") == "/a"


def test_the_application_without_mountpoint_is_the_default_wherever_it_stands() -> None:
    assert answered(mounted("/a", ""), SCRIPT_NAME="/c") == ""
    assert answered(mounted("/a", "/"), SCRIPT_NAME="/c") == "/"


def test_without_a_default_nothing_answers_for_others() -> None:
    applications = mounted("/a", use_default=False)
    assert answered(applications, SCRIPT_NAME="/c") is None
    assert answered(applications, SCRIPT_NAME="/a") == "/a"


def test_the_script_name_may_be_ignored() -> None:
    assert answered(mounted("", "/a", ignore_script_name=True), SCRIPT_NAME="/a") == ""


def test_no_applications_answer_nothing() -> None:
    assert answered(Applications(), SCRIPT_NAME="") is None
    assert len(Applications()) == 0


def test_a_mountpoint_is_taken_once() -> None:
    applications = mounted("/a")
    with pytest.raises(ValueError, match="mountpoint /a/ already configured"):
        applications.add("/a/", app)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/a", ("/a", "/a", "")),
        ("/a/", ("/a", "/a", "/")),
        ("/a/x", ("/a", "/a", "/x")),
        ("/a/b", ("/a/b", "/a/b", "")),
        ("/a/b/c", ("/a/b", "/a/b", "/c")),
        ("/a/bc", ("/a", "/a", "/bc")),
        ("/ab", ("", "", "/ab")),
        ("/", ("", "", "/")),
        ("", ("", "", "")),
        ("*", ("", "", "*")),
    ],
)
def test_manage_script_name_splits_at_the_longest_mountpoint(
    path: str, answer: tuple[str, str, str]
) -> None:
    applications = mounted("", "/a", "/a/b", manage_script_name=True)
    assert routed(applications, path) == answer


@pytest.mark.parametrize("mountpoint", ["/x", "/x/"])
def test_a_slash_after_the_mountpoint_means_nothing(mountpoint: str) -> None:
    # uWSGI splits behind the slash then, and sends the memory behind the path.
    applications = mounted(mountpoint, manage_script_name=True)
    assert routed(applications, "/x/y") == (mountpoint, "/x", "/y")


def test_manage_script_name_without_match_uses_the_default() -> None:
    applications = mounted("/a", manage_script_name=True)
    assert routed(applications, "/b") == ("/a", "", "/b")
    strict = mounted("/a", manage_script_name=True, use_default=False)
    assert routed(strict, "/b") == (None, "", "/b")


def test_a_request_may_name_its_application_if_it_is_loaded_on_request() -> None:
    asked: list[tuple[str, str]] = []

    def load(environ: dict[str, Any], key: str) -> Any:
        asked.append((environ["UWSGI_FILE"], key))
        return app

    applications = Applications(load=load)
    for _ in range(2):
        assert answered(applications, SCRIPT_NAME="/a", UWSGI_FILE="a.py") == "/a"
    assert asked == [("a.py", "/a")]


def test_a_default_application_leaves_nothing_to_load() -> None:
    def load(environ: dict[str, Any], key: str) -> Any:
        raise AssertionError(key)

    applications = Applications(load=load)
    applications.add("", app)
    assert answered(applications, SCRIPT_NAME="/a", UWSGI_FILE="a.py") == ""


def test_an_application_may_be_chosen_by_host_too() -> None:
    applications = mounted("", "a.test|", "a.test|/x", "b.test|/x", host="HTTP_HOST")
    assert answered(applications, HTTP_HOST="a.test") == "a.test|"
    assert answered(applications, HTTP_HOST="a.test", SCRIPT_NAME="/x") == "a.test|/x"
    assert answered(applications, HTTP_HOST="b.test", SCRIPT_NAME="/x") == "b.test|/x"
    assert answered(applications, HTTP_HOST="b.test") == ""
    assert answered(applications, SCRIPT_NAME="/x") == ""


def test_a_path_is_split_among_the_mountpoints_of_its_host() -> None:
    applications = mounted(
        "", "a.test|/x", "b.test|/x/y", manage_script_name=True, host="SERVER_NAME"
    )
    environ = {"SERVER_NAME": "a.test", "PATH_INFO": "/x/y/z"}
    found = applications.find(environ)
    assert found is not None
    assert found.mountpoint == "a.test|/x"
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/x", "/y/z")
    environ = {"SERVER_NAME": "b.test", "PATH_INFO": "/x/y/z"}
    found = applications.find(environ)
    assert found is not None
    assert (found.mountpoint, environ["PATH_INFO"]) == ("b.test|/x/y", "/z")

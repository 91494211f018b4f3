"""Loading applications from modules, files, paste and strings."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.errors import StartupError
from geuwsgi.options.python import Python
from geuwsgi.wsgi.applications import Applications
from geuwsgi.wsgi.loader import load_applications

APP = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [__name__.encode()]

def other(environ, start_response):
    return [b"other"]

def make():
    return other

class Site:
    app = staticmethod(other)
    make = staticmethod(make)

number = 1
"""


class Loaded:
    """What was loaded, and the lines it was told with."""

    def __init__(self, **options: Any) -> None:
        self.lines: list[str] = []
        self.applications: Applications = load_applications(
            Python(**options), self.lines.append
        )

    def body(self, **environ: str) -> bytes:
        found = self.applications.find(dict(environ))
        assert found is not None
        return b"".join(found.call(environ, lambda status, headers: None))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture(autouse=True)
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory with sources, in the search path as at run time."""
    package = tmp_path / "sitepkg"
    package.mkdir()
    (package / "__init__.py").touch()
    for path in (package / "mod.py", tmp_path / "site.wsgi", tmp_path / "siteapp.py"):
        path.write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [".", *sys.path])
    # Python remembers which directory "." was.
    monkeypatch.delitem(sys.path_importer_cache, ".", raising=False)
    importlib.invalidate_caches()
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({"module": "sitepkg.mod"}, b"sitepkg.mod"),
        ({"module": "sitepkg.mod:application"}, b"sitepkg.mod"),
        ({"module": "sitepkg.mod:other"}, b"other"),
        ({"module": "sitepkg.mod:make()"}, b"other"),
        ({"module": "sitepkg.mod:Site.app"}, b"other"),
        ({"module": "sitepkg.mod:Site.make()"}, b"other"),
        ({"module": "sitepkg.mod", "callable_": "other"}, b"other"),
        ({"module": "sitepkg.mod", "callable_": "make()"}, b"other"),
        ({"module": "sitepkg.mod:other", "callable_": "application"}, b"other"),
        ({"module": "siteapp.py"}, b"uwsgi_file_siteapp"),
        ({"wsgi_file": "siteapp.py"}, b"uwsgi_file_siteapp"),
        ({"wsgi_file": "site.wsgi"}, b"uwsgi_file_site_wsgi"),
        ({"wsgi_file": "sitepkg/mod.py"}, b"uwsgi_file_sitepkg_mod"),
        ({"wsgi_file": "siteapp.py", "callable_": "other"}, b"other"),
        ({"eval_": "application = lambda e, s: [b'eval']"}, b"eval"),
    ],
)
def test_every_way_to_name_an_application(options: dict[str, Any], body: bytes) -> None:
    loaded = Loaded(**options)
    assert loaded.body() == body
    assert re.fullmatch(
        r"WSGI app 0 \(mountpoint=''\) ready in 0 seconds on interpreter"
        rf" 0x[0-9a-f]+ pid: {os.getpid()} \(default app\)",
        loaded.text,
    )


def test_the_name_of_a_file_module_is_that_of_uwsgi(tmp_path: Path) -> None:
    loaded = Loaded(wsgi_file=f"{tmp_path}/siteapp.py")
    name = f"uwsgi_file_{tmp_path}/siteapp".replace("/", "_").replace(".", "_")
    assert loaded.body() == name.encode()
    assert sys.modules[name].__file__ == f"{tmp_path}/siteapp.py"


def test_modules_found_in_the_working_directory_have_absolute_files() -> None:
    Loaded(module="siteapp")
    file = sys.modules["siteapp"].__file__ or ""
    assert os.path.isabs(file)
    assert os.path.samefile(file, "siteapp.py")


def failure(**options: Any) -> list[str]:
    loaded = Loaded(**options)
    assert len(loaded.applications) == 0
    assert loaded.lines[-2:] == [
        "unable to load app 0 (mountpoint='') (callable not found or import error)",
        "*** no app loaded. going in full dynamic mode ***",
    ]
    return "\n".join(loaded.lines[:-2]).splitlines()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"module": "sitepkg.mod:nope"},
            'unable to find "nope" callable in module sitepkg.mod',
        ),
        (
            {"module": "sitepkg.mod:number"},
            '"number" in module sitepkg.mod is not callable but a int',
        ),
        (
            {"module": "sitepkg.mod:make('x')"},
            "\"make('x')\" is not the name of a callable (in module sitepkg.mod)",
        ),
        (
            {"module": "no_such_mod"},
            "ModuleNotFoundError: No module named 'no_such_mod'",
        ),
        ({"wsgi_file": "nope.py"}, "failed to open python file nope.py"),
        (
            {"wsgi_file": "siteapp.py", "callable_": "a"},
            'unable to find "a" callable in file siteapp.py',
        ),
        (
            {"wsgi_file": "sitepkg"},
            "failed to open python file sitepkg: is a directory",
        ),
    ],
)
def test_what_is_not_there_is_named(options: dict[str, Any], sentence: str) -> None:
    assert failure(**options) == [sentence]


def test_an_error_at_import_is_told_with_its_place_only() -> None:
    Path("failing.py").write_text("import sitepkg.mod\n\nraise KeyError('key')\n")
    for options in ({"module": "failing"}, {"wsgi_file": "failing.py"}):
        lines = failure(**options)
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[1].endswith('failing.py", line 3, in <module>')
        assert lines[-1] == "KeyError: 'key'"
        assert "geuwsgi/wsgi" not in "\n".join(lines)
        assert "importlib" not in "\n".join(lines)


def test_a_syntax_error_names_file_and_line() -> None:
    Path("broken.py").write_text("def application(:\n")
    for options in ({"module": "broken"}, {"wsgi_file": "broken.py"}):
        lines = failure(**options)
        assert lines[0].endswith('broken.py", line 1')
        assert any(line.startswith("SyntaxError:") for line in lines)


def test_a_file_that_failed_is_not_half_imported() -> None:
    Path("failing.py").write_text("raise KeyError('key')\n")
    failure(wsgi_file="failing.py")
    assert "uwsgi_file_failing" not in sys.modules


def test_an_application_that_exits_at_import_does_not_end_the_server() -> None:
    Path("exiting.py").write_text("import sys\nsys.exit(3)\n")
    assert failure(module="exiting")[-2:] == [
        "SystemExit: 3",
        "the application called sys.exit()",
    ]


def test_an_error_in_a_factory_is_told() -> None:
    Path("factory.py").write_text("def make():\n    return 1 / 0\n")
    lines = failure(module="factory:make()")
    assert lines[1].endswith('factory.py", line 2, in make')
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_an_encoding_declared_in_a_file_counts() -> None:
    source = "# coding: latin-1\napplication = lambda e, s: ['é'.encode()]\n"
    Path("latin.py").write_text(source, encoding="latin-1")
    assert Loaded(wsgi_file="latin.py").body() == "é".encode()


def test_need_app_changes_the_last_line() -> None:
    assert Loaded(need_app=True).lines == ["*** no app loaded. GAME OVER ***"]


def test_a_second_application_at_the_root_is_left_out() -> None:
    loaded = Loaded(module="sitepkg.mod", wsgi_file="siteapp.py")
    assert loaded.body() == b"sitepkg.mod"
    assert loaded.lines[1] == "mountpoint  already configured. skip."


def test_mounts_take_files_and_modules() -> None:
    loaded = Loaded(
        mount=("/file=siteapp.py", "/module=sitepkg.mod:other", "/wsgi=site.wsgi"),
        manage_script_name=True,
    )
    assert loaded.body(PATH_INFO="/file/x") == b"uwsgi_file_siteapp"
    assert loaded.body(PATH_INFO="/module") == b"other"
    assert loaded.body(PATH_INFO="/wsgi") == b"uwsgi_file_site_wsgi"
    assert loaded.body(PATH_INFO="/") == b"uwsgi_file_siteapp"
    assert loaded.lines[0] == "mounting siteapp.py on /file"
    assert loaded.lines[1].startswith("WSGI app 0 (mountpoint='/file') ready in ")
    assert loaded.lines[1].endswith(" (default app)")
    assert not loaded.lines[3].endswith(" (default app)")


def test_a_mount_that_fails_leaves_the_others() -> None:
    loaded = Loaded(mount=("/a=no_such_mod", "/b=sitepkg.mod"))
    assert [one.mountpoint for one in loaded.applications] == ["/b"]
    assert "unable to load app 0 (mountpoint='/a')" in loaded.text


def test_a_mount_without_application_is_refused() -> None:
    with pytest.raises(StartupError) as caught:
        Loaded(mount=("/a",))
    assert str(caught.value) == "mount: '/a' is not mountpoint=application"


@pytest.mark.parametrize("quote", ["b'/{}'", "'/{}'"])
def test_a_module_may_declare_several_applications(quote: str) -> None:
    first, second, third = (quote.format(name) for name in "abc")
    Path("several.py").write_text(
        "from sitepkg.mod import application, other\n"
        f"applications = {{{first}: other, {second}: 'sitepkg.mod:application',"
        f" {third}: 5}}\n"
    )
    loaded = Loaded(module="several")
    assert loaded.lines[0] == "found a multiapp module..."
    assert loaded.body(SCRIPT_NAME="/a") == b"other"
    assert loaded.body(SCRIPT_NAME="/b") == b"sitepkg.mod"
    assert loaded.body(SCRIPT_NAME="/d") == b"other"
    assert "5 in applications is not callable" in loaded.text


def test_the_uwsgi_module_may_hold_the_applications(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uwsgi = types.ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    Path("several.py").write_text(
        "import uwsgi\nfrom sitepkg.mod import other\n"
        "uwsgi.applications = {b'/a': other}\n"
    )
    assert Loaded(module="several").body(SCRIPT_NAME="/a") == b"other"


def test_imports_come_first_and_a_failing_one_is_told() -> None:
    Path("early.py").write_text("import builtins\n")
    loaded = Loaded(
        module="sitepkg.mod", import_=("early", "./siteapp.py", "no_such_mod")
    )
    assert "early" in sys.modules
    assert "uwsgi_file___siteapp" in sys.modules
    assert loaded.lines[0] == "ModuleNotFoundError: No module named 'no_such_mod'"
    assert loaded.body() == b"sitepkg.mod"


def test_a_module_has_its_alias() -> None:
    Path("aliased.py").write_text("from shortname import other as application\n")
    assert Loaded(module="aliased", pymodule_alias=("shortname=sitepkg.mod",)).body()


def test_paste_is_loaded_through_pastedeploy(tmp_path: Path) -> None:
    pytest.importorskip("paste.deploy")
    Path("factory.py").write_text(
        "import logging\n"
        "def make(global_config, **local):\n"
        "    name = logging.getLevelName(logging.getLogger('paste-test').level)\n"
        "    return lambda e, s: [f'{global_config[\"here\"]} {local} {name}'.encode()]\n"
    )
    Path("site.ini").write_text(
        textwrap.dedent("""\
            [app:main]
            paste.app_factory = factory:make
            a = 1
            [loggers]
            keys = root, test
            [handlers]
            keys =
            [formatters]
            keys =
            [logger_root]
            handlers =
            [logger_test]
            qualname = paste-test
            level = ERROR
            handlers =
            """)
    )
    plain = f"{tmp_path} {{'a': '1'}} NOTSET".encode()
    assert Loaded(paste=f"config:{tmp_path}/site.ini").body() == plain
    assert Loaded(ini_paste="site.ini").body() == plain
    logged = f"{tmp_path} {{'a': '1'}} ERROR".encode()
    assert Loaded(ini_paste_logged="site.ini").body() == logged


def test_paste_without_pastedeploy_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "paste.deploy", None)
    (line,) = failure(paste="config:/srv/site.ini")
    assert line.startswith(
        "config:/srv/site.ini needs the package PasteDeploy (pip install PasteDeploy): "
    )


def test_requests_load_nothing_unless_asked() -> None:
    loaded = Loaded()
    assert loaded.applications.find({"UWSGI_FILE": "siteapp.py"}) is None
    assert "uwsgi_file_siteapp" not in sys.modules


@pytest.mark.parametrize(
    ("environ", "body"),
    [
        ({"UWSGI_FILE": "siteapp.py"}, b"uwsgi_file_siteapp"),
        ({"UWSGI_SCRIPT": "sitepkg.mod"}, b"sitepkg.mod"),
        ({"UWSGI_SCRIPT": "sitepkg.mod:other"}, b"other"),
        ({"UWSGI_MODULE": "sitepkg.mod", "UWSGI_CALLABLE": "other"}, b"other"),
    ],
)
def test_requests_may_name_what_to_load_with_dynamic_apps(
    environ: dict[str, str], body: bytes
) -> None:
    loaded = Loaded(dynamic_apps=True)
    assert loaded.body(SCRIPT_NAME="/a", **environ) == body
    assert loaded.body(SCRIPT_NAME="/a") == body
    assert len(loaded.applications) == 1


def test_a_request_that_names_nothing_loadable_gets_nothing() -> None:
    loaded = Loaded(dynamic_apps=True)
    assert loaded.applications.find({"UWSGI_MODULE": "no_such_mod"}) is None
    assert loaded.lines[-1] == "ModuleNotFoundError: No module named 'no_such_mod'"


def test_the_interpreter_looks_like_that_of_uwsgi(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "lib" / name).mkdir(parents=True)
    program = (
        "import sys\n"
        "from geuwsgi.options.python import Python\n"
        "from geuwsgi.wsgi.interpreter import prepare_interpreter\n"
        "python = Python(pythonpath=('/first', 'lib/*'), pyargv=' a  b ')\n"
        "prepare_interpreter(python, print)\n"
        "print(sys.path[:4], sys.argv, '__file__' in vars(sys.modules['__main__']))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert answer.stdout.splitlines() == [
        "added /first to pythonpath.",
        "added lib/one to pythonpath.",
        "added lib/two to pythonpath.",
        "['lib/two', 'lib/one', '/first', '.'] ['uwsgi', 'a', 'b'] False",
    ]


def run_with_home(home: Path) -> str:
    program = (
        "import sys\n"
        "from geuwsgi.errors import StartupError\n"
        "from geuwsgi.options.python import Python\n"
        "from geuwsgi.wsgi.interpreter import prepare_interpreter\n"
        "try:\n"
        f"    prepare_interpreter(Python(home={str(home)!r}), print)\n"
        "    import only_there, gevent\n"
        "    print(only_there.__file__, sys.prefix)\n"
        "except StartupError as exc:\n"
        "    print(exc)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return answer.stdout.strip()


def test_a_virtualenv_gives_its_packages(tmp_path: Path) -> None:
    home = tmp_path / "venv"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = home / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (home / "pyvenv.cfg").touch()
    (packages / "extra.pth").write_text(f"{tmp_path}/extra\n")
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "only_there.py").touch()
    assert run_with_home(home).splitlines() == [
        f"PEP 405 virtualenv detected: {home}",
        f"Set PythonHome to {home}",
        f"{tmp_path}/extra/only_there.py {home}",
    ]


def test_a_virtualenv_of_another_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "venv/lib/python2.7/site-packages").mkdir(parents=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert run_with_home(tmp_path / "venv") == (
        f"the virtualenv {tmp_path}/venv is not for {version}, on which geuwsgi runs:"
        " it has python2.7"
    )


def test_a_virtualenv_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert run_with_home(tmp_path / "venv") == (
        f"the virtualenv {tmp_path}/venv is not a directory"
    )

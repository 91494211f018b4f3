"""The same configurations read by uWSGI itself.

uWSGI prints what it read (``show-config``), and an application inside it prints
``uwsgi.opt``. Where geuwsgi differs on purpose, both readings are written down here.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.config import Configuration, read
from geuwsgi.options import REGISTRY
from geuwsgi.options.kinds import Takes
from tests.config.test_real_configurations import MISTAKEN, SITES

Pairs = list[tuple[str, str]]
BEGIN = ";uWSGI instance configuration\n[uwsgi]\n"
END = ";end of configuration"
DUMP = """
import json, os, uwsgi
opt = {k: v if v is True else v.decode() for k, v in uwsgi.opt.items()}
with open(os.environ["DUMP"], "w") as file:
    json.dump(opt, file)
os._exit(0)
"""


@pytest.fixture(scope="session")
def uwsgi() -> str:
    """The uWSGI to compare with; on CI there must be one."""
    found = os.environ.get("GEUWSGI_REFERENCE_UWSGI") or shutil.which("uwsgi")
    if found is None:
        if "CI" in os.environ:
            pytest.fail("there is no uwsgi: set GEUWSGI_REFERENCE_UWSGI")
        pytest.skip("there is no uwsgi: set GEUWSGI_REFERENCE_UWSGI")
    return found


def shown_by_uwsgi(
    uwsgi: str, argv: list[str], cwd: Path, environ: Mapping[str, str]
) -> Pairs | None:
    """What uWSGI read, in order; None if it refused. It does not get to serve."""
    process = subprocess.Popen(
        [uwsgi, "--show-config", *argv],
        cwd=cwd,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    output = b""
    deadline = time.monotonic() + 10
    try:
        while END.encode() not in output and time.monotonic() < deadline:
            if select.select([process.stdout], [], [], 0.1)[0]:
                block = os.read(process.stdout.fileno(), 65536)
                if not block:
                    break
                output += block
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    return _pairs(output.decode("utf-8", "surrogateescape"))


def _pairs(text: str) -> Pairs | None:
    # With log-date or log-prefix, uWSGI puts these before its own lines, too.
    text = re.sub(r"^.*?\d\d:\d\d:\d\d[^\n]*? - ", "", text, flags=re.M)
    if BEGIN not in text:
        return None
    lines = text.partition(BEGIN)[2].partition(END)[0].split("\n")
    split = [line.partition(" = ") for line in lines if line.strip()]
    return [(name, value) for name, _, value in split]


def shown_by_geuwsgi(
    argv: list[str], cwd: Path, environ: Mapping[str, str], monkey: pytest.MonkeyPatch
) -> tuple[Pairs, list[str]]:
    monkey.chdir(cwd)
    loading = read(["--show-config", *argv], environ)
    pairs = _pairs(loading.configuration.show())
    assert pairs is not None
    return pairs, [str(error) for error in loading.errors]


def _write(directory: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (directory / name).write_text(text)


ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root", "EMPTY": "", "A1": "x", "B": "1"}


def ini(*lines: str) -> str:
    return "\n".join(["[uwsgi]", *lines, ""])


SAME: dict[str, tuple[dict[str, str], list[str]]] = {
    "lines and comments": (
        {
            "a.ini": ' [uwsgi]\n  x = y ; c\n;a=b\n#c=d\nq="a b"\nno equals\ne=\n'
            "k : v\n=foo\n\t[uwsgi] \nzz=1\r\n[other]\nw=1\n[uwsgi]\nlast=a=b"
        },
        ["--ini", "a.ini"],
    ),
    "lines before a section": ({"a.ini": "x=1\n[uwsgi]\ny=2\n"}, ["a.ini"]),
    "arithmetic": (
        {
            "a.ini": ini(
                "b=1",
                "n=4",
                *(
                    f"v{i}=%({expression})"
                    for i, expression in enumerate(
                        [
                            "b + 2",
                            "b + 2 + 3",
                            "b 2",
                            "4 + 5 6",
                            "8 / 0",
                            "5 ++",
                            "5 --",
                            "b 2 + 1",
                            "2 * 3 b",
                            "nope + 2",
                            "7 - 10",
                            "7 -",
                            "n n",
                            "7 / 2",
                            "b  +  n",
                            "n * n * n",
                        ]
                    )
                ),
            )
        },
        ["a.ini"],
    ),
    "placeholders": (
        {
            "a.ini": ini(
                "a=1",
                "flag",
                "x=%(a)%(nope)%()",
                "y=[%(flag)]",
                "z=%(later)",
                "later=2",
            )
        },
        ["a.ini"],
    ),
    "variables": (
        {"a.ini": ini("x=$(HOME)$(NOPE)/$(EMPTY)/", "y=$()$( )", "z=$HOME ${HOME}")},
        ["a.ini"],
    ),
    "contents of files": (
        {"a.ini": ini("x=@(f)", "y=a@(f)b@(g)"), "f": "hi\n\n", "g": "no end"},
        ["a.ini"],
    ),
    "substitution in order": (
        {"a.ini": ini("x=%(y)", "y=$(HOME)@(f)"), "f": "F"},
        ["a.ini"],
    ),
    "magic variables": (
        {
            "a.ini": ini(
                "i=%o|%p|%s|%d|%c|%e|%n|%x|%i|%j|%0|%1|%2|%9",
                "j=%O|%P|%S|%D|%C|%E|%N|%X|%I|%J",
                "k=%v %h %k %u %U %g %G",
                "l=100%% 5%q %y x",
            )
        },
        ["--ini", "a.ini"],
    ),
    "magic variables of a bare file": (
        {"a.ini": ini("i=%o|%p|%x", "j=%O|%P|%S|%D|%C|%E|%N|%X|%I|%J")},
        ["a.ini"],
    ),
    "sections": (
        {"a.ini": "[uwsgi]\nx=u\n[b]\nini=:c\nz=%x %X\n[c]\nu=%x %X %s %S\n"},
        ["--ini", "a.ini:b"],
    ),
    "two files": (
        {"a.ini": ini("x=%s %S"), "b.ini": ini("x=%s %S")},
        ["--ini", "a.ini", "--ini", "b.ini", "b.ini"],
    ),
    "include and ini": (
        {
            "a.ini": ini("x=1", "include=b.ini", "ini=c.ini", "y=%(z)"),
            "b.ini": ini("x=2", "s=%s %S"),
            "c.ini": ini("z=3"),
        },
        ["--ini", "a.ini"],
    ),
    "inherit": (
        {
            "a.ini": ini("inherit=b.ini", "processes=2"),
            "b.ini": ini("processes=3", "x=1"),
        },
        ["--ini", "a.ini"],
    ),
    "conditions": (
        {
            "a.ini": ini(
                "if-env=HOME",
                "a=%(_)",
                "end",
                "ifenv=HOME=/root",
                "b=%(_)",
                "endif=",
                "if-env=HOME=/x",
                "c=%(_)",
                "endif",
                "if-not-env=NOPE",
                "d=%(_)",
                "end-if",
                "if-opt=a",
                "e=%(_)",
                "endfor",
                "if-opt=a=/root",
                "f=%(_)",
                "endif",
                "if-not-opt=zz",
                "g=1",
                "endif",
                "if-exists=a.ini",
                "h=%(_)",
                "endif",
                "if-not-exists=a.ini",
                "i=%(_)",
                "endif",
                "if-file=a.ini",
                "j=%(_)",
                "endif",
                "if-dir=/tmp",
                "k=%(_)",
                "endif",
                "ifdir=a.ini",
                "l=%(_)",
                "endif",
                "if-not-dir=a.ini",
                "m=1",
                "endif",
                "if-not-file=/tmp",
                "n=1",
                "endif",
                "if-reload=",
                "o=1",
                "endif",
                "if-not-reload=",
                "p=1",
                "endif",
                "if-hostname=nowhere",
                "q=1",
                "endif",
                "if-not-hostname=nowhere",
                "r=1",
                "endif",
                "if-plugin=python",
                "s=1",
                "endif",
                "if-plugin=nope",
                "t=1",
                "endif",
            )
        },
        ["--ini", "a.ini"],
    ),
    "a failed condition hides all": (
        {
            "a.ini": ini(
                "if-env=NOPE", "include=gone.ini", "if-env=X", "x=1", "end", "y=1"
            )
        },
        ["--ini", "a.ini"],
    ),
    "loops": (
        {
            "a.ini": ini(
                "for=a b  c",
                "x=%(_)",
                "y_%(_)=-%(_)-",
                "env=X_%(_)=1",
                "endfor",
                "for-times=3",
                "z=%(_)",
                "end",
                "for-readline=f",
                "w=%(_)",
                "endfor",
                "for-glob=*.tx?",
                "v=%(_)",
                "endfor",
                "for-glob=*.none",
                "u=%(_)",
                "endfor",
            ),
            "f": "one\n\n two \n",
            "1.txt": "",
            "2.txt": "",
        },
        ["--ini", "a.ini"],
    ),
    "files in blocks": (
        {"a.ini": "[uwsgi]\nfor=b c\nini=:%(_)\nendfor\n[b]\nx=1\nendif\n[c]\ny=2\n"},
        ["--ini", "a.ini"],
    ),
    "a block over two files": (
        {"a.ini": ini("if-exists=/tmp", "u=%(_)"), "b.ini": ini("k=%(_)", "end=")},
        ["--ini", "a.ini", "--ini", "b.ini"],
    ),
    "set": (
        {"a.ini": ini("set=processes=4", "set=a=b=c", "set=%(a)=1", "x=%(a)")},
        ["--ini", "a.ini", "--set", "cc=dd", "-S", "ee=%(a)"],
    ),
    "set-placeholder": (
        {"a.ini": ini("set-ph=w=1", "set-placeholder=u=2", "x=%(w)%(u)")},
        ["a.ini"],
    ),
    "blacklist": (
        {"a.ini": ini("blacklist=umask mode", "x=1", "end-blacklist=1", "mode=2")},
        ["a.ini"],
    ),
    "text around files": (
        {"before": "[uwsgi]\nx=%s\n", "after": "\n[uwsgi]\ny=1", "a.ini": ini("z=1")},
        ["--inject-before", "before", "--inject-after", "after", "--ini", "a.ini"],
    ),
    "yaml": (
        {
            "a.yaml": "a: 1\nuwsgi:\n  x: y # c\n  env: A=1\n  env: B=2\n  b: true\nother:\n  w: 1\n"
        },
        ["--yaml", "a.yaml"],
    ),
    "xml": (
        {
            "a.xml": "<uwsgi><x>y</x><e/><q> a b </q><env>A=1</env><env>B=2</env></uwsgi>"
        },
        ["a.xml"],
    ),
    "the first section of xml": (
        {
            "a.xml": '<r><uwsgi id="a"><x>1</x></uwsgi><uwsgi id="b"><x>2</x></uwsgi></r>'
        },
        ["--xml", "a.xml"],
    ),
    "words of the command line": (
        {"a.ini": ini("mode=i")},
        [
            "-p2",
            "-Mp",
            "3",
            "--http-keepalive",
            "-L",
            "--env=A=B",
            "--env",
            "C=D",
            "a.ini",
            "--chmod-socket=660",
            "--processe",
            "5",
            "[x",
            "-z",
            "9",
        ],
    ),
    "bare file after options": (
        {"p.ini": ini("processes=2")},
        ["p.ini", "--processes", "5"],
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_both_read_the_same(
    case: str, uwsgi: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, argv = SAME[case]
    _write(tmp_path, files)
    theirs = shown_by_uwsgi(uwsgi, argv, tmp_path, ENVIRON)
    ours, errors = shown_by_geuwsgi(argv, tmp_path, ENVIRON, monkeypatch)
    assert errors == []
    assert ours == theirs


#: What uWSGI reads otherwise: files, the option looked at, theirs and ours.
DIFFERENT: dict[str, tuple[dict[str, str], str, str | None, str]] = {
    "a placeholder that leads to a later one at its beginning": (
        {"a.ini": ini("x=%(a)", "a=%(b)", "b=1")},
        "x",
        "%(b)",
        "1",
    ),
    "parentheses in arithmetic": ({"a.ini": ini("x=%((4 * 2) + 1)")}, "x", "1", "9"),
    "negative numbers in arithmetic": ({"a.ini": ini("x=%(-3 + 1)")}, "x", "1", "-2"),
    "a variable within a variable": ({"a.ini": ini("x=$(A$(B))")}, "x", "$(A1)", "x"),
    "placeholders in an inherited file": (
        {"a.ini": ini("inherit=b.ini", "n=1"), "b.ini": ini("x=%(n)")},
        "x",
        "%(n)",
        "1",
    ),
    "placeholders of an inherited file": (
        {"a.ini": ini("inherit=b.ini", "x=%(n)"), "b.ini": ini("n=1")},
        "x",
        "%(n)",
        "1",
    ),
    "variables in a placeholder set": (
        {"a.ini": ini("set-ph=x=$(HOME)")},
        "x",
        "$(HOME)",
        "/root",
    ),
    "a percent sign at the end of a line": (
        {"a.ini": "[uwsgi]\nx=1%\ny=2\n"},
        "x",
        "1y=2",
        "1%",
    ),
    "values of options that act early": (
        {"a.ini": ini("listen=@(f)"), "f": "50\n"},
        "listen",
        "@(f)",
        "50",
    ),
    "quotes in yaml": ({"a.yaml": 'uwsgi:\n  x: "a b"\n'}, "x", '"a b"', "a b"),
    "a comment behind a section": (
        {"a.ini": "[uwsgi] ; c\nx=1\n[uwsgi]\n"},
        "x",
        None,
        "1",
    ),
    "else": (
        {"a.ini": ini("if-env=NOPE", "x=1", "else", "x=2", "end")},
        "x",
        None,
        "2",
    ),
    "options made of others": (
        {"a.ini": ini("declare-option=o=x=$1", "o=1")},
        "x",
        None,
        "1",
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_the_known_differences_are_these(
    case: str, uwsgi: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, name, theirs, ours = DIFFERENT[case]
    _write(tmp_path, files)
    argv = [f"--{next(iter(files)).rpartition('.')[2]}", next(iter(files))]
    read_there = shown_by_uwsgi(uwsgi, argv, tmp_path, ENVIRON)
    read_here, _ = shown_by_geuwsgi(argv, tmp_path, ENVIRON, monkeypatch)
    assert read_there is not None
    assert dict(read_there).get(name) == theirs
    assert dict(read_here).get(name) == ours


REFUSED: dict[str, tuple[dict[str, str], list[str]]] = {
    "an unknown option": ({}, ["--nope"]),
    "an ambiguous beginning": ({}, ["--mast"]),
    "an unknown letter": ({}, ["-k"]),
    "a flag with a value": ({}, ["--master=1"]),
    "a missing file": ({}, ["--ini", "gone.ini"]),
    "a missing included file": ({"a.ini": ini("include=gone.ini")}, ["a.ini"]),
    "a missing file in a value": ({"a.ini": ini("x=@(gone)")}, ["a.ini"]),
    "nested blocks": ({"a.ini": ini("if-env=HOME", "for=a", "end")}, ["a.ini"]),
    "a placeholder that is an option": ({"a.ini": ini("set-ph=master=1")}, ["a.ini"]),
    "set without equals sign": ({"a.ini": ini("set=foo")}, ["a.ini"]),
    "unknown names with strict": ({"a.ini": ini("zz=1", "strict=1")}, ["a.ini"]),
    "options on a blacklist": ({"a.ini": ini("blacklist=mode", "mode=1")}, ["a.ini"]),
    "a format nobody knows": ({"a.conf": ""}, ["--include", "a.conf"]),
    "a word nobody understands": ({}, ["what.txt"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_both_refuse_the_same(
    case: str, uwsgi: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, argv = REFUSED[case]
    _write(tmp_path, files)
    assert shown_by_uwsgi(uwsgi, argv, tmp_path, ENVIRON) is None
    assert shown_by_geuwsgi(argv, tmp_path, ENVIRON, monkeypatch)[1] != []


# -- uwsgi.opt -------------------------------------------------------------------------

OPT: dict[str, tuple[dict[str, str], list[str], dict[str, str]]] = {
    "flags alone and with values": (
        {"a.ini": ini("vacuum", "enable-threads = true", "memory-report = false")},
        ["-M", "--need-app", "--ini", "a.ini"],
        {},
    ),
    "repeated options": (
        {"a.ini": ini("env=A=1", "env=B=2", "processes=1", "processes=2")},
        ["--env", "C=3", "a.ini"],
        {},
    ),
    "variables of the user": (
        {"a.ini": ini("base=/srv", "mine=%(base)/x", "set-ph=other=1", "Umlaut=ä")},
        ["--ini", "a.ini", "--set", "more=1"],
        {},
    ),
    "the environment": ({}, [], {"UWSGI_FOO_BAR": "1", "UWSGI_MASTER": "1"}),
    "the name of a file with its section": (
        {"a.ini": "[uwsgi]\n[b]\nx=1\n", "a.xml": '<uwsgi id="b"><y>1</y></uwsgi>'},
        ["--ini", "a.ini:b"],
        {},
    ),
    "directives": (
        {"a.ini": ini("for=a b", "x=%(_)", "endfor", "if-env=HOME", "y=1", "end")},
        ["--ini", "a.ini"],
        {"HOME": "/"},
    ),
}


@pytest.mark.parametrize("case", OPT)
def test_uwsgi_opt_holds_the_same(
    case: str, uwsgi: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, argv, environ = OPT[case]
    _write(tmp_path, {**files, "dump.py": DUMP})
    argv = [*argv, "--wsgi-file", "dump.py"]
    theirs = _opt_of_uwsgi(uwsgi, argv, tmp_path, environ)
    monkeypatch.chdir(tmp_path)
    ours = _opt_of(read(argv, environ).configuration)
    assert ours == theirs


def _opt_of(configuration: Configuration) -> dict[str, object]:
    return {
        name: value if value is True else bytes(value).decode()
        for name, value in configuration.opt.items()
    }


def _opt_of_uwsgi(
    uwsgi: str, argv: list[str], cwd: Path, environ: Mapping[str, str]
) -> object:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # A socket as standard input saves an option for an address.
        subprocess.run(
            [uwsgi, *argv],
            cwd=cwd,
            env={"PATH": "/usr/bin:/bin", "DUMP": str(cwd / "opt.json"), **environ},
            stdin=listener.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=True,
        )
    return json.loads((cwd / "opt.json").read_text())


# -- the real sites --------------------------------------------------------------------

#: Options that keep uWSGI from showing what it read, or make it change the machine.
_LEFT_OUT = frozenset(
    {"daemonize", "emperor", "https", "logger", "logto", "req-logger", "spooler"}
)
#: Sites that uWSGI refuses, or reads otherwise, and why.
_NOT_COMPARED = {
    "044": "names a file that is not there",
    "067": "is a shell script that fills in variables",
    "068": "includes itself",
    "101": "names a file that is not there",
    "212": "has an option that only a uWSGI with PCRE knows",
    "225": "names a file that is not there",
    "229": "parentheses in arithmetic",
    "264": "names a script as a bare word",
    "284": "percent signs at the end of lines",
    "294": "an address that uWSGI cannot bind",
}


@pytest.mark.slow
@pytest.mark.parametrize("site", SITES, ids=lambda site: str(site["id"]))
def test_both_read_real_sites_the_same(
    site: dict[str, Any], uwsgi: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if site["id"] in _NOT_COMPARED:
        pytest.skip(f"not compared: {_NOT_COMPARED[site['id']]}")
    environ = dict(ENVIRON)
    argv: list[str] = []
    lines = []
    for name, value in site["pairs"]:
        if name in _LEFT_OUT:
            continue
        known = REGISTRY.find(name)
        lines.append(name if value is None else f"{name} = {value}")
        if value is None:
            argv.append(f"--{name}")
        elif known is not None and known.takes is Takes.NOTHING:
            environ[f"UWSGI_{name.upper().replace('-', '_')}"] = value
        else:
            argv.append(f"--{name}={value}")
    if site["form"] != "argv":
        environ = dict(ENVIRON)
        argv = ["--ini", "a.ini"]
        (tmp_path / "a.ini").write_text(ini(*lines))
    theirs = shown_by_uwsgi(uwsgi, argv, tmp_path, environ)
    ours, errors = shown_by_geuwsgi(argv, tmp_path, environ, monkeypatch)
    if theirs is None:
        assert errors or site["id"] in MISTAKEN
    else:
        assert ours == theirs

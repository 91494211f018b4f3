"""Request lines and loaded applications, of real uWSGI and of geuwsgi.

Packets of the uwsgi protocol are the same for both, so the lines must be the same but
for what is measured: process ids, dates, times, switches, and the size of the head,
where we say what uWSGI leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, free_port
from geuwsgi.testing.packet import encode_packet, web_server_vars
from geuwsgi.testing.process import GEUWSGI, ServerProcess

pytestmark = pytest.mark.e2e

APP = """
import os

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path == "/missing":
        start_response("404 Not Found", [("X-A", "b")])
        return [b"nope"]
    if path == "/broken":
        start_response("500 Oops", [("X-A", "b")])
        return [b"x" * 500]
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-A", "1")])
    return [b"hello", b"world"]

def other(environ, start_response):
    start_response("200 OK", [])
    return [b"other"]

def make():
    return other
"""

TARGETS = ("/a%20b?x=1", "/empty", "/missing", "/broken")

MEASURED = (
    (r"\[pid: \d+\|", "[pid: PID|"),
    (r"\[\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\]", "[DATE]"),
    (r" in \d+ (msecs|micros) ", r" in N \1 "),
    (
        r" headers in \d+ bytes \(\d+ switches on core",
        " headers in N bytes (N switches on core",
    ),
    (r"usage: \d+ bytes/\d+MB", "usage: N bytes/NMB"),
)


def normalise(line: str) -> str:
    for pattern, replacement in MEASURED:
        line = re.sub(pattern, replacement, line)
    return line


def log_of(
    directory: Path,
    command: Sequence[str],
    options: Sequence[str],
    targets: Sequence[str],
    expected: int | None = None,
) -> list[str]:
    """Run a server, send it the packets one by one, return its log.

    ``expected`` is how many request lines there will be, if not one for each.
    """
    directory.mkdir()
    (directory / "app.py").write_text(APP)
    address = f"127.0.0.1:{free_port()}"
    arguments = ["--socket", address, "--master", "--gevent", "5", *options]
    with ServerProcess(arguments, directory=directory, command=command) as server:
        server.wait_for_log("spawned uWSGI worker")
        for target in targets:
            variables = web_server_vars(
                target,
                headers={"User-Agent": 'a "browser"', "X-Forwarded-For": "10.1.1.1"},
            )
            with Client(address) as client:
                client.send(encode_packet(variables))
                client.read_to_end()
            # Logged when the answer is out.
        marks = len(targets) if expected is None else expected
        if marks:
            server.wait_for_log("=> generated|FORMAT", count=marks)
        # uWSGI may not obey a signal that comes early, so it is killed.
        return server.log.splitlines()


def both_logs(
    reference: str,
    tmp_path: Path,
    options: Sequence[str],
    targets: Sequence[str],
    expected: int | None = None,
) -> tuple[list[str], list[str]]:
    return (
        log_of(tmp_path / "ours", GEUWSGI, options, targets, expected),
        log_of(tmp_path / "theirs", (reference,), options, targets, expected),
    )


def request_lines(log: Sequence[str], mark: str) -> list[str]:
    return [normalise(line) for line in log if mark in line]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], 4),
        (["--log-micros"], 4),
        (["--log-x-forwarded-for"], 4),
        (["--memory-report"], 4),
        (["--disable-logging", "--log-4xx", "--log-zero"], 2),
        (["--disable-logging", "--log-5xx"], 1),
        (["--disable-logging", "--log-big=100"], 1),
        (["--disable-logging"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_default_line_is_the_same(
    reference_uwsgi: str, tmp_path: Path, options: list[str], expected: int
) -> None:
    options = ["--wsgi-file", "app.py", *options]
    ours, theirs = both_logs(reference_uwsgi, tmp_path, options, TARGETS, expected)
    assert request_lines(ours, "=> generated") == request_lines(theirs, "=> generated")


def test_the_line_of_a_format_is_the_same(reference_uwsgi: str, tmp_path: Path) -> None:
    items = (
        "method uri user addr host proto referer status rsize cl pktsize vars wid"
        " modifier1 modifier2 headers werr rerr ioerr var.PATH_INFO var.NOPE nope"
    )
    line = "FORMAT " + " ".join(f"{item}=%({item})" for item in items.split())
    options = ["--wsgi-file", "app.py", "--log-format", line + " 100% {} %s"]
    ours, theirs = both_logs(reference_uwsgi, tmp_path, options, TARGETS)
    assert request_lines(ours, "FORMAT") == request_lines(theirs, "FORMAT")


def test_dates_of_a_format_look_the_same(reference_uwsgi: str, tmp_path: Path) -> None:
    items = "ltime ftime ctime time epoch tmsecs tmicros secs msecs micros size hsize"
    line = "FORMAT " + " ".join(f"{item}=%({item})" for item in items.split())
    options = ["--wsgi-file", "app.py", "--log-format", line]
    ours, theirs = both_logs(reference_uwsgi, tmp_path, options, TARGETS[:1])
    # The same letters and as many digits where the number of digits is fixed.
    shapes = [
        re.sub(
            r"\d+", "N", re.sub(r"\d{2,}", "NN", " ".join(request_lines(log, "FORMAT")))
        ).replace("NN", "N")
        for log in (ours, theirs)
    ]
    months = r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b"
    assert re.sub(months, "D", shapes[0]) == re.sub(months, "D", shapes[1])


LOADINGS = {
    "a module": ["--module", "app"],
    "a callable of a module": ["--module", "app:other"],
    "a factory": ["--module", "app:make()"],
    "a file": ["--wsgi-file", "app.py", "--callable", "other"],
    "mounts": ["--mount", "/a=app.py", "--mount", "/b=app:other"],
    "a module and a file": ["--module", "app:other", "--wsgi-file", "app.py"],
    "a module that is not there": ["--module", "nothing"],
    "a file that is not there": ["--wsgi-file", "nothing.py"],
    "nothing": [],
}

LOADING = re.compile(
    r"^(WSGI app|mounting|unable to load app|\*\*\* no app loaded|mountpoint .*already configured"
    r"|ModuleNotFoundError|failed to open)"
)


@pytest.mark.parametrize("options", LOADINGS.values(), ids=LOADINGS.keys())
def test_loading_is_told_in_the_same_lines(
    reference_uwsgi: str, tmp_path: Path, options: list[str]
) -> None:
    told = []
    for log in both_logs(
        reference_uwsgi, tmp_path, ["--single-interpreter", *options], []
    ):
        lines = [line for line in log if LOADING.search(line)]
        text = "\n".join(lines)
        text = re.sub(r"0x[0-9a-f]+ pid: \d+", "0xN pid: N", text)
        told.append(re.sub(r"ready in \d+ seconds", "ready in N seconds", text))
    assert told[0] == told[1]


def test_an_application_that_is_needed_ends_both_alike(
    reference_uwsgi: str, tmp_path: Path
) -> None:
    ends = []
    for name, command in (("ours", GEUWSGI), ("theirs", (reference_uwsgi,))):
        directory = tmp_path / name
        directory.mkdir()
        arguments = ["--socket", f"127.0.0.1:{free_port()}", "--gevent", "5"]
        arguments += ["--master", "--need-app", "--module", "nothing"]
        with ServerProcess(arguments, directory=directory, command=command) as server:
            status = server.wait()
            last = [line for line in server.log.splitlines() if LOADING.search(line)]
        ends.append((status, last))
    assert ends[0] == ends[1]
    assert ends[0][0] == 22

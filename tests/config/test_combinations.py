from __future__ import annotations

import pytest

from geuwsgi.config.combinations import find_combinations
from tests.config.world import read_ini


def _found(*lines: str, somaxconn: int = 4096) -> list[str]:
    loading = read_ini("\n".join(lines))
    return [str(note) for note in find_combinations(loading.configuration, somaxconn)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["gevent=9", "threads=4"], "3: threads: has no effect beside gevent"),
        (
            ["http-socket=:80", "http-websockets=1"],
            "3: http-websockets: has no effect: no http address",
        ),
        (
            ["listen=9000"],
            "2: listen: the kernel allows 4096 (net.core.somaxconn)",
        ),
        (
            ["master=1", "processes=4", "cheaper=4"],
            "4: cheaper: 4 is not below the 4 processes",
        ),
        (
            ["cheaper=1", "processes=2", "cheaper-initial=3", "master=1"],
            "4: cheaper-initial: 3 is above the processes",
        ),
        (
            ["http=:80", "http-timeout=60", "harakiri=30"],
            "4: harakiri: ends requests before http-timeout (60) does",
        ),
        (
            ["workers=2"],
            "2: workers: without 'master' a worker that dies is not replaced",
        ),
        (
            ["harakiri=90", "worker-reload-mercy=8"],
            "3: worker-reload-mercy: ends requests that harakiri (90) would allow",
        ),
        (["gevent=5", "async=6"], "3: async: gevent says 5, which counts"),
        (["loop=asyncio"], "2: loop: 'asyncio': the loop is gevent"),
        (["daemonize=true"], "2: daemonize: the log goes to a file called 'true'"),
        (
            ["http=:80", "http-socket=:80"],
            "3: http-socket: ':80' is given twice, at app.ini:2, too",
        ),
        (
            ["module=a", "wsgi-file=b.py"],
            "3: wsgi-file: both name the application: 'module' is there, too",
        ),
        (["callable=app"], "2: callable: has no effect: no module or file is loaded"),
        (["stats-http=1"], "2: stats-http: has no effect: no 'stats'"),
        (
            ["log-5xx=1"],
            "2: log-5xx: has no effect: all requests are logged anyway without"
            " 'disable-logging'",
        ),
        (
            ["max-requests-delta=5"],
            "2: max-requests-delta: has no effect: no 'max-requests'",
        ),
        (
            ["cheaper-step=2", "master=1"],
            "2: cheaper-step: has no effect: no 'cheaper'",
        ),
    ],
)
def test_what_is_useless_together_is_told(lines: list[str], message: str) -> None:
    assert _found(*lines) == [f"app.ini:{message}"]


@pytest.mark.parametrize(
    "lines",
    [
        ["http=:80", "http-websockets=1", "gevent=100", "threads=1", "module=a:b"],
        ["http-socket=:80", "http-socket-modifier1=9"],
        ["loop=gevent", "async=100"],
        ["disable-logging=1", "log-5xx=1"],
        ["harakiri=30"],
        ["master=1", "processes=4", "cheaper=2", "cheaper-initial=2"],
        ["http=:80", "http-timeout=60", "harakiri=120"],
        ["shared-socket=:443", "https==0,a,b", "https==0,a,b"],
        ["daemonize=/var/log/x.log"],
    ],
)
def test_what_makes_sense_together_is_not_told(lines: list[str]) -> None:
    assert _found(*lines) == []


def test_the_kernels_limit_may_be_unknown() -> None:
    assert _found("listen=99999", somaxconn=0) == []

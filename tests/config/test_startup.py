"""What reading a configuration costs at each start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INI = """\
[uwsgi]
base = /srv
chdir = %(base)
http = :8000
master = true
processes = 4
gevent = 1000
module = app:application
vacuum = true
harakiri = 30
plugins = python3
pidfile = %d/app.pid
"""
CODE = """\
import os, time
import gevent
before = time.process_time()
from geuwsgi.config import load
load(["--ini", "app.ini"], os.environ)
print(time.process_time() - before)
"""
LIMIT = 0.06


@pytest.mark.slow
def test_the_engine_costs_less_than_60_ms(tmp_path: Path) -> None:
    (tmp_path / "app.ini").write_text(INI)
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path / "cache")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    seconds = [
        float(
            subprocess.run(
                [sys.executable, "-c", CODE],
                cwd=tmp_path,
                env=environ,
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
        for _ in range(6)
    ]
    assert min(seconds) < LIMIT

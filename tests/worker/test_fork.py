"""How processes of the instance end with others."""

from __future__ import annotations

import subprocess
import sys

import pytest

needs_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="not on this system"
)

# The parent ends; its child, which looks at nothing, tells which end the kernel has
# set for it.
_PARENT = """
import os, signal
from geuwsgi.worker.fork import end_some_time_after

reading, writing = os.pipe()
if os.fork():
    os.close(writing)
    os.read(reading, 1)
    os._exit(0)
assert not end_some_time_after(1)
assert end_some_time_after(os.getppid())
os.close(reading)
parent = os.getppid()
os.close(writing)
while os.getppid() == parent:
    pass
left = 0.0
while not left:
    left, _ = signal.getitimer(signal.ITIMER_REAL)
print(left, signal.getsignal(signal.SIGALRM) is signal.SIG_DFL, flush=True)
"""


@needs_linux
def test_an_orphan_that_notices_nothing_is_ended_by_the_kernel() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, check=True, timeout=30
    )
    left, is_default = told.stdout.split()
    assert 14 < float(left) <= 16
    assert is_default == b"True"

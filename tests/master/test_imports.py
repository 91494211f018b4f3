from __future__ import annotations

import subprocess
import sys


def test_the_master_never_imports_gevent() -> None:
    code = (
        "import sys, geuwsgi.cli, geuwsgi.master.launch; "
        "import geuwsgi.master.loop, geuwsgi.master.throne; "
        "print([m for m in sys.modules if m.split('.')[0] in ('gevent', 'greenlet')])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"

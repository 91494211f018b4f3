"""A start that waits for the instance before it."""

from __future__ import annotations

import fcntl
import threading
import time
from pathlib import Path

from geuwsgi.master.stores import wait_for_stores
from geuwsgi.options import Settings
from geuwsgi.options.shared import Shared


def test_a_store_that_somebody_ends_with_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "queue.store"
    settings = Settings(shared=Shared(queue=10, queue_store=str(path)))
    log: list[str] = []
    wait_for_stores(settings, log.append)  # there is none yet
    assert log == []
    file = path.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    ending = threading.Timer(0.1, file.close)
    began = time.monotonic()
    ending.start()
    wait_for_stores(settings, log.append)
    ending.join()
    assert 0.05 < time.monotonic() - began < 5
    assert log == [f"another instance has {path} open; it may be ending: waiting"]

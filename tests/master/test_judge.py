from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from geuwsgi.master.judge import judge
from geuwsgi.options import Daemons, Emperor, Hooks, Settings, Signals, Subscription


def test_nothing_is_wrong_with_the_defaults() -> None:
    assert list(judge(Settings())) == []


def test_all_parts_are_judged() -> None:
    settings = Settings(
        hooks=Hooks(hook_asap=("nonsense:x",)),
        daemons=Daemons(attach_daemon2=("pidfile=/a",)),
        signals=Signals(cron=("1 2 3",)),
        emperor=Emperor(emperor=("amqp://host",)),
        subscription=Subscription(zergpool=("/run/pool",)),
    )
    sentences = [str(error) for error in judge(settings)]
    for word in ("nonsense", "attach-daemon2", "cron", "amqp", "zerg-pool"):
        assert any(word in sentence for sentence in sentences), (word, sentences)
    assert len(sentences) == 5


def test_check_tells_of_hooks(tmp_path: Path) -> None:
    (tmp_path / "site.ini").write_text(
        "[uwsgi]\nhttp-socket = :0\nhook-as-root = dance:all night\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "geuwsgi", "check", "site.ini"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode != 0
    assert "dance" in ended.stdout + ended.stderr

from __future__ import annotations

import subprocess
from pathlib import Path

from geuwsgi.testing.process import GEUWSGI, ServerProcess

__all__ = ["ServerProcess"]  # it starts what a server starts: slow


def ask(directory: Path, option: str, typed: str) -> subprocess.CompletedProcess[str]:
    (directory / "site_app.py").write_text(
        "answer = 41\ndef application(environ, start_response):\n    return []\n"
    )
    return subprocess.run(
        [*GEUWSGI, "--http-socket", "127.0.0.1:1", "-w", "site_app", option],
        cwd=directory,
        input=typed,
        capture_output=True,
        text=True,
        timeout=50,
    )


def test_a_shell_has_the_application_and_opens_no_socket(tmp_path: Path) -> None:
    typed = "import uwsgi, site_app\nprint('GOT', site_app.answer + 1, uwsgi.numproc)\n"
    told = ask(tmp_path, "--pyshell", typed)
    assert "GOT 42 1" in told.stdout, told
    assert "bound to" not in told.stderr
    assert told.returncode == 0


def test_code_may_be_run_in_place_of_a_shell(tmp_path: Path) -> None:
    told = ask(tmp_path, "--pyshell=import site_app; print('RAN', site_app.answer)", "")
    assert "RAN 41" in told.stdout, told
    assert told.returncode == 0


def test_a_script_runs_in_the_environment_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        "import uwsgi, site_app\nassert __name__ == '__main__'\nprint('JOB', uwsgi.opt)\n"
    )
    told = ask(tmp_path, "--pyrun=job.py", "")
    assert "JOB {" in told.stdout, told
    assert told.returncode == 0


def test_loading_may_be_all_that_is_asked_for(tmp_path: Path) -> None:
    told = ask(tmp_path, "--no-server", "")
    assert "no-server mode requested. Goodbye." in told.stdout, told
    assert told.returncode == 0
    told = ask(tmp_path, "--test=there_is_no_such_module", "")
    assert "there_is_no_such_module" in told.stderr
    assert told.returncode == 1

"""What only root may read and do, when the workers run as another user."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from geuwsgi.testing import traffic_application
from geuwsgi.testing.client import free_port
from geuwsgi.testing.fixtures import StartServer
from tests.e2e.conftest import missing

USER = "nobody"


def everybody_may_run_this_python() -> bool:
    path = Path(sys.executable).resolve()
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user"),
    pytest.mark.skipif(
        not everybody_may_run_this_python(), reason="this Python is not for every user"
    ),
]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory that the user may enter, with the application."""
    directory = tmp_path / "site"
    directory.mkdir()
    for place in (directory, *directory.parents[:3]):
        place.chmod(0o755)
    shutil.copy(traffic_application.__file__, directory / "site_application.py")
    return directory


def write_certificate(directory: Path, name: str) -> None:
    """A certificate whose key is for root alone, as certbot leaves it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl")
    subprocess.run(
        [
            *(str(openssl), "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-subj", f"/CN={name}", "-days", "2"),
            *(
                "-out",
                str(directory / "new.crt"),
                "-keyout",
                str(directory / "new.key"),
            ),
        ],
        check=True,
        capture_output=True,
    )
    (directory / "new.key").chmod(0o600)
    (directory / "new.key").rename(directory / "site.key")
    (directory / "new.crt").rename(directory / "site.crt")


def certificate_at(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=20)


def lines(port: int, more: str = "") -> str:
    return (
        f"[uwsgi]\nhttps-socket = 127.0.0.1:{port},site.crt,site.key\nmaster = true\n"
        f"gevent = 5\nmodule = site_application\nuid = {USER}\ngid = {USER}\n"
        f"processes = 1\nvacuum = true\n{more}"
    ).replace(f"gid = {USER}", "gid = nogroup" if _has_group("nogroup") else "")


def _has_group(name: str) -> bool:
    return f"\n{name}:" in "\n" + Path("/etc/group").read_text()


def owner_of_worker(log: str) -> str:
    pid = log.rpartition("spawned uWSGI worker 1 (pid: ")[2].partition(",")[0]
    return Path(f"/proc/{pid}").owner()


@pytest.mark.parametrize("option", ["", "master-as-root", "drop-after-apps"])
def test_a_key_for_root_alone_is_good_over_reloads(
    geuwsgi_server: StartServer, site: Path, option: str
) -> None:
    port = free_port()
    write_certificate(site, "first.test")
    more = f"{option} = true\n" if option else ""
    (site / "site.ini").write_text(lines(port, more))
    server = geuwsgi_server("site.ini", directory=site)
    server.wait_for_log("spawned uWSGI worker 1", timeout=30)
    first = (site / "site.crt").read_text()
    assert certificate_at(port) == first
    assert owner_of_worker(server.log) == USER
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("generation 2 is ready and takes over", timeout=30)
    assert certificate_at(port) == first
    write_certificate(site, "second.test")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("generation 3 is ready and takes over", timeout=30)
    assert owner_of_worker(server.log) == USER
    if option:  # who is still root reads the new key
        second = (site / "site.crt").read_text()
        # The old worker may accept for a moment yet.
        server.wait_for(lambda: certificate_at(port) == second, "shows the new one")
    else:
        assert certificate_at(port) == first
        assert "restart it to take the new one" in server.log
    assert server.stop() == 0
    server.assert_nothing_left()

"""The measuring environment: peers' and geuwsgi's virtual environments, load clients.

Everything lives in one cache directory outside the source tree and is made once; what
has changed since is made again. Nothing of it is needed to use geuwsgi.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
CLIENTS = TREE / "benchmarks" / "clients"
APPLICATIONS = TREE / "benchmarks" / "applications"

PEERS = (
    "uwsgi",
    "gunicorn[gevent]",
    "gunicorn_h1c",
    "granian",
    "waitress",
    "gevent",
    "setuptools<81",  # fastwsgi imports pkg_resources
    "fastwsgi",
    "picows",
    "websockets",
    "uvloop",
)
"""Distributions of the peers; one that does not build here is left out of the run."""

FRAMEWORKS = ("flask", "django")

LIBRARIES = {"tls": ("-lssl", "-lcrypto")}
"""What a load client is linked with."""


class Environment:
    """Paths of everything that is run, below one cache directory.

    `geuwsgi` names an installed command to measure instead of the source tree.
    """

    def __init__(self, cache: Path, *, geuwsgi: Path | None = None) -> None:
        self.cache = cache
        self.peers = cache / "peers" / "bin"
        self._own = cache / "geuwsgi"
        self._pure = cache / "geuwsgi-pure"
        self._command = geuwsgi
        self.clients = cache / "clients"

    @property
    def geuwsgi(self) -> Path:
        """The geuwsgi command that is measured."""
        return self._command or self._own / "bin" / "geuwsgi"

    @property
    def pure_geuwsgi(self) -> Path:
        """The geuwsgi command without compiled modules, beside the measured one."""
        return self._pure / "bin" / "geuwsgi"

    def prepare(self, *, compiled: bool = True, both: bool = False) -> None:
        """Makes or refreshes what is missing. May take minutes the first time.

        With `both` there is also a geuwsgi without compiled modules.
        """
        self.cache.mkdir(parents=True, exist_ok=True)
        self._build_clients()
        self._install_peers()
        if self._command is None:
            self._install_tree(self._own, compiled=compiled)
        if both:
            self._install_tree(self._pure, compiled=False)

    def client(self, name: str) -> str:
        return str(self.clients / name)

    def has(self, command: str) -> bool:
        """Whether a peer's command or module is there to be measured."""
        return (self.peers / command).exists() or bool(
            list(self.peers.parent.glob(f"lib/python*/site-packages/{command}"))
        )

    def versions(self) -> dict[str, str]:
        """Installed distributions and their versions, for the report."""
        found: dict[str, str] = {}
        for python in (self.peers / "python", self.geuwsgi.with_name("python")):
            if not python.exists():
                continue
            listing = subprocess.run(
                [python, "-m", "pip", "list", "--format=freeze"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for line in listing.splitlines():
                name, _, version = line.partition("==")
                found.setdefault(name.lower(), version)
        return found

    def _build_clients(self) -> None:
        self.clients.mkdir(exist_ok=True)
        shared = CLIENTS / "client.h"
        for source in sorted(CLIENTS.glob("*.c")):
            binary = self.clients / source.stem
            newest = max(source.stat().st_mtime, shared.stat().st_mtime)
            if binary.exists() and binary.stat().st_mtime > newest:
                continue
            compiler = os.environ.get("CC", "cc")
            libraries = LIBRARIES.get(source.stem, ())
            subprocess.run(
                [
                    *(compiler, "-O2", "-Wall", "-std=gnu11", "-o", binary, source),
                    *libraries,
                ],
                # Not everybody has OpenSSL's headers; the others measure the rest.
                check=not libraries,
            )

    def _install_peers(self) -> None:
        stamp = self.cache / "peers" / "installed"
        wanted = "\n".join((*PEERS, *FRAMEWORKS))
        if stamp.exists() and stamp.read_text() == wanted:
            return
        _make_venv(self.peers.parent)
        for distribution in (*PEERS, *FRAMEWORKS):
            installed = _pip(self.peers, "install", "--upgrade", distribution)
            if not installed:
                print(f"not measured, does not install here: {distribution}")
        stamp.write_text(wanted)

    def _install_tree(self, place: Path, *, compiled: bool) -> None:
        # A copy of what git knows, so that the build leaves nothing in the tree.
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=TREE,
            capture_output=True,
            check=True,
        ).stdout.decode()
        files = [
            name for name in listing.split("\0") if name and (TREE / name).exists()
        ]
        digest = hashlib.sha256(b"compiled" if compiled else b"pure")
        for name in files:
            if name.startswith(("geuwsgi/", "pyproject", "setup", "README")):
                digest.update(name.encode() + (TREE / name).read_bytes())
        stamp = place / "installed"
        if stamp.exists() and stamp.read_text() == digest.hexdigest():
            return
        source = self.cache / "source"
        shutil.rmtree(source, ignore_errors=True)
        for name in files:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TREE / name, source / name)
        _make_venv(place)
        variables = (
            dict(os.environ) if compiled else {**os.environ, "GEUWSGI_PURE": "1"}
        )
        bin_directory = place / "bin"
        _pip(bin_directory, "uninstall", "--yes", "geuwsgi")
        if not _pip(bin_directory, "install", str(source), *FRAMEWORKS, env=variables):
            raise SystemExit("geuwsgi does not install from this tree")
        stamp.write_text(digest.hexdigest())


def _make_venv(directory: Path) -> None:
    if (directory / "bin" / "python").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    _pip(directory / "bin", "install", "--upgrade", "pip", "setuptools", "wheel")


def _pip(
    bin_directory: Path, *arguments: str, env: dict[str, str] | None = None
) -> bool:
    command = [str(bin_directory / "python"), "-m", "pip", "--quiet", *arguments]
    return subprocess.run(command, env=env).returncode == 0

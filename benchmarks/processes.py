"""Starting a server on its core, looking at its process tree, ending it."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What a process tree uses at a moment."""

    cpu_seconds: float
    pss_kib: int
    peak_kib: int
    processes: int


class Running:
    """A started server: its whole tree is pinned to `core` and dies in `stop`.

    What runs `beside` it and is needed to reach it counts in its `usage`.
    """

    def __init__(
        self, command: list[str], *, core: str, directory: Path, env: dict[str, str]
    ) -> None:
        self.beside: Running | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in stop)
        self._process = subprocess.Popen(
            ["taskset", "-c", core, *command],
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_until_answering(
        self,
        family: int,
        address: str | tuple[str, int],
        request: bytes,
        *,
        tls: bool = False,
    ) -> float:
        """Seconds until one request was answered.

        Raises `RuntimeError` with the server's output if it ends or takes 30 s.
        """
        started = time.monotonic()
        while time.monotonic() - started < 30:
            if self._process.poll() is not None:
                break
            try:
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    probe.settimeout(5)
                    probe.connect(address)
                    if tls:
                        probe = _tls_context().wrap_socket(probe)
                    probe.sendall(request)
                    # A front server answers 502 until the one behind it is there.
                    if probe.recv(12)[9:12] in (b"200", b"101"):
                        probe.close()
                        return time.monotonic() - started
            except OSError:
                pass
            time.sleep(0.002)
        raise RuntimeError(f"the server does not answer: {self.output()[-2000:]}")

    def output(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def usage(self, *, memory: bool = False) -> Usage:
        ids = _tree(self._process.pid)
        if self.beside is not None:
            ids += _tree(self.beside._process.pid)
        return Usage(
            cpu_seconds=sum(_cpu_seconds(pid) for pid in ids),
            pss_kib=sum(_pss_kib(pid) for pid in ids) if memory else 0,
            peak_kib=sum(_peak_kib(pid) for pid in ids) if memory else 0,
            processes=len(ids),
        )

    def stop(self) -> None:
        """Ends the tree: asked first, after 3 s not asked any more."""
        ids = _tree(self._process.pid)
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in ids:
            try:
                if os.getsid(pid) == self._process.pid:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._log.close()


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat_fields(int(entry))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, pending = [], [root]
    while pending:
        pid = pending.pop()
        if _stat_fields(pid):
            found.append(pid)
        pending += children.get(pid, [])
    return found


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _cpu_seconds(pid: int) -> float:
    fields = _stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _pss_kib(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def _peak_kib(pid: int) -> int:
    """The most resident memory that the process ever had."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0

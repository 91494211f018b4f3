"""Send the corpus of hostile HTTP to any server and count what it does.

    python -m tests.faults.compare NAME PORT -- COMMAND …

The command must serve ``counting:application`` on the port; it runs in a directory
with that module. Cases about limits of size, which every server sets for itself, are
left out. Counts only: what falls elsewhere is for its maintainers.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from geuwsgi.testing.client import connect, get

TESTS = Path(__file__).parent.parent
_LIMITS = re.compile(r"4(13|14|17|31)|too-long|too-many")
_CARGO = b"\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n"


def cases() -> list[tuple[Path, bytes]]:
    heads = [
        (path, path.read_bytes() + _CARGO)
        for path in sorted((TESTS / "corpus" / "http1").glob("*.http"))
    ]
    connections = [
        (path, path.read_bytes())
        for path in sorted((TESTS / "corpus" / "http1-connection").glob("*.http"))
    ]
    return [case for case in heads + connections if not _LIMITS.search(case[0].stem)]


def exchange(address: str, octets: bytes) -> bytes:
    received = b""
    with connect(address, timeout=2) as client:
        try:
            client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                received += piece
        except OSError:
            pass
    return received


def counts_of(address: str) -> int:
    return int(get(address, "/counts").text.split()[1])


def score(address: str) -> Counter[str]:
    counted: Counter[str] = Counter()
    for path, octets in cases():
        smuggled = counts_of(address)
        received = exchange(address, octets)
        found = re.findall(rb"HTTP/1\.[01] (\d+) ", received)
        statuses = "-".join(status.decode() for status in found)
        wanted = path.stem.rpartition(".")[2]
        counted["cases"] += 1
        if counts_of(address) != smuggled:
            counted["answered, and what followed too"] += 1
        elif statuses == wanted:
            counted["as the RFCs ask"] += 1
        elif statuses.count("200") <= wanted.count("200"):
            counted["refused in another way"] += 1
        else:
            counted["answered 200"] += 1
    return counted


def main(name: str, port: str, command: list[str]) -> None:
    address = f"127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(TESTS / "faults" / "apps" / "counting.py", directory)
        server = subprocess.Popen(
            command,
            cwd=directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(150):
                try:
                    get(address, "/counts")
                except OSError:
                    time.sleep(0.1)
                else:
                    break
            print(name, dict(score(address)))
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[4:])

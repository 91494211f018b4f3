from __future__ import annotations

import socket
import subprocess
import sys

from geuwsgi.net.reception import Reception


def test_a_visitor_is_let_in() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        reception = Reception(listening)
        assert reception.accept() is None
        with socket.create_connection(listening.getsockname()):
            visitor = reception.accept()
            assert visitor is not None
            visitor.close()
        reception.close()


# In a process of its own: it uses up its descriptors.
OUT_OF_DESCRIPTORS = """
import os, resource, socket
from geuwsgi.net.reception import Reception

listening = socket.create_server(("127.0.0.1", 0))
listening.setblocking(False)
reception = Reception(listening)
clients = [socket.create_connection(listening.getsockname()) for _ in range(3)]
full = os.dup(0)
resource.setrlimit(resource.RLIMIT_NOFILE, (full + 1, full + 1))
for client in clients:
    assert reception.accept() is None
    client.settimeout(5)
    assert client.recv(1) == b""
os.close(full)
assert reception.accept() is None, "nobody is there"
clients[0].close()
os.close(os.open("/dev/null", os.O_RDONLY))
print("rested")
"""


def test_who_cannot_be_let_in_is_sent_away() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", OUT_OF_DESCRIPTORS],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.stdout == "rested\n", ended.stderr

"""The usual frameworks, all mounted in one server as its manual shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, exchange, free_port, get
from geuwsgi.testing.packet import exchange_packet, web_server_vars
from geuwsgi.testing.process import ServerProcess

FRAMEWORKS = ["flask", "django", "bottle", "falcon", "pyramid"]

BOUNDARY = "boundary"
FORM = (
    f"--{BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
    f"--{BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    "Content-Type: text/plain\r\n\r\n" + "x" * 200_000 + "\r\n"
    f"--{BOUNDARY}--\r\n"
).encode()


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ServerProcess, str]]:
    apps = Path(__file__).parent / "apps"
    directory = Path(shutil.copytree(apps, tmp_path_factory.mktemp("site") / "apps"))
    address = f"127.0.0.1:{free_port()}"
    mounts = "".join(
        f"mount = /{name}=with_{name}:application\n" for name in FRAMEWORKS
    )
    (directory / "site.ini").write_text(
        f"[uwsgi]\nhttp = {address}\nsocket = %d/site.sock\nmaster = true\n"
        f"gevent = 100\nmanage-script-name = true\nsingle-interpreter = true\nneed-app = true\n{mounts}"
    )
    with ServerProcess(["--ini", "site.ini"], directory=directory) as server:
        server.wait_until_ready(address)
        yield server, address


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_a_page_knows_where_it_is_mounted(
    running: tuple[ServerProcess, str], framework: str
) -> None:
    server, address = running
    response = get(address, f"/{framework}/hello/ann")
    assert (response.status, response.text) == (200, f"hello ann from /{framework}")
    packet = exchange_packet(
        str(server.directory / "site.sock"),
        web_server_vars(f"/{framework}/hello/ann"),
    )
    assert packet.text == f"hello ann from /{framework}"


def test_a_form_with_a_file_arrives(
    running: tuple[ServerProcess, str], framework: str
) -> None:
    _, address = running
    with Client(address) as client:
        response = client.request(
            f"/{framework}/form",
            method="POST",
            headers=(("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),),
            body=FORM,
        )
    assert (response.status, response.text) == (200, "value a.txt 200000")


def test_a_streamed_page_comes_whole(
    running: tuple[ServerProcess, str], framework: str
) -> None:
    _, address = running
    assert get(address, f"/{framework}/stream").text == "0,1,2,"


def test_a_redirect_stays_below_the_mount(
    running: tuple[ServerProcess, str], framework: str
) -> None:
    _, address = running
    response = exchange(
        address,
        f"GET /{framework}/away HTTP/1.1\r\nHost: {address}\r\n\r\n".encode(),
    )
    location = response.header("Location") or ""
    path = location.removeprefix(f"http://{address}")
    assert response.status in (302, 303)
    assert get(address, path).text == f"hello again from /{framework}"


def test_a_broken_page_is_a_500(
    running: tuple[ServerProcess, str], framework: str
) -> None:
    server, address = running
    assert get(address, f"/{framework}/broken").status == 500
    assert get(address, f"/{framework}/missing").status == 404
    if framework != "django":  # Django reports through logging it has not set up.
        server.wait_for_log(f"{framework} page is broken")


def test_a_chunked_form_arrives_where_the_framework_reads_to_the_end(
    running: tuple[ServerProcess, str],
) -> None:
    _, address = running
    head = (
        "POST /flask/form HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(FORM), FORM)
    assert exchange(address, head.encode() + chunked).text == "value a.txt 200000"

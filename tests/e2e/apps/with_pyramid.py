from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.response import Response


def hello(request: Any) -> Any:
    return Response(f"hello {request.matchdict['name']} from {request.script_name}")


def form(request: Any) -> Any:
    file = request.POST["file"]
    size = len(file.file.read())
    return Response(f"{request.POST['field']} {file.filename} {size}")


def stream(request: Any) -> Any:
    def pieces() -> Iterator[bytes]:
        for number in range(3):
            yield f"{number},".encode()
            time.sleep(0.01)

    return Response(app_iter=pieces(), content_type="text/plain")


def away(request: Any) -> Any:
    return HTTPFound(request.route_url("hello", name="again"))


def broken(request: Any) -> Any:
    raise RuntimeError("pyramid page is broken")


with Configurator() as config:
    for view, pattern in (
        (hello, "/hello/{name}"),
        (form, "/form"),
        (stream, "/stream"),
        (away, "/away"),
        (broken, "/broken"),
    ):
        config.add_route(view.__name__, pattern)
        config.add_view(view, route_name=view.__name__)
    application = config.make_wsgi_app()

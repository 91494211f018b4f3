from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import falcon


class Hello:
    def on_get(self, request: Any, response: Any, name: str) -> None:
        response.text = f"hello {name} from {request.root_path}"


class Form:
    def on_post(self, request: Any, response: Any) -> None:
        field = name = size = None
        for part in request.media:
            if part.name == "field":
                field = part.text
            else:
                name, size = part.filename, len(part.stream.read())
        response.text = f"{field} {name} {size}"


class Stream:
    def on_get(self, request: Any, response: Any) -> None:
        def pieces() -> Iterator[bytes]:
            for number in range(3):
                yield f"{number},".encode()
                time.sleep(0.01)

        response.stream = pieces()


class Away:
    def on_get(self, request: Any, response: Any) -> None:
        raise falcon.HTTPFound(request.prefix + "/hello/again")


class Broken:
    def on_get(self, request: Any, response: Any) -> None:
        raise RuntimeError("falcon page is broken")


application = falcon.App()
application.add_route("/hello/{name}", Hello())
application.add_route("/form", Form())
application.add_route("/stream", Stream())
application.add_route("/away", Away())
application.add_route("/broken", Broken())

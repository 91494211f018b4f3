from __future__ import annotations

import time
from collections.abc import Iterator

from bottle import Bottle, redirect, request, response

application = Bottle()


@application.get("/hello/<name>")
def hello(name: str) -> str:
    return f"hello {name} from {request.environ['SCRIPT_NAME']}"


@application.post("/form")
def form() -> str:
    file = request.files.get("file")
    return f"{request.forms.get('field')} {file.raw_filename} {len(file.file.read())}"


@application.get("/stream")
def stream() -> Iterator[str]:
    response.content_type = "text/plain"
    for number in range(3):
        yield f"{number},"
        time.sleep(0.01)


@application.get("/away")
def away() -> None:
    redirect("hello/again")


@application.get("/broken")
def broken() -> str:
    raise RuntimeError("bottle page is broken")

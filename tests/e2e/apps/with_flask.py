from __future__ import annotations

import time
from collections.abc import Iterator

from flask import Flask, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

application = Flask(__name__)


@application.get("/hello/<name>")
def hello(name: str) -> str:
    return f"hello {name} from {request.script_root}"


@application.post("/form")
def form() -> str:
    file = request.files["file"]
    return f"{request.form['field']} {file.filename} {len(file.read())}"


@application.get("/stream")
def stream() -> Response:
    def pieces() -> Iterator[str]:
        for number in range(3):
            yield f"{number},"
            time.sleep(0.01)

    return Response(pieces(), mimetype="text/plain")


@application.get("/away")
def away() -> BaseResponse:
    return redirect(url_for("hello", name="again"))


@application.get("/broken")
def broken() -> str:
    raise RuntimeError("flask page is broken")

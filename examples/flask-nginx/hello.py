"""A Flask application as it is deployed everywhere: behind nginx, on a Unix socket."""

from __future__ import annotations

import os

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    return f"Hello {request.remote_addr}, this is worker process {os.getpid()}.\n"

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="for tests", DEBUG=False
)
django.setup(set_prefix=False)


def hello(request: Any, name: str) -> HttpResponse:
    return HttpResponse(f"hello {name} from {request.META['SCRIPT_NAME']}")


def form(request: Any) -> HttpResponse:
    file = request.FILES["file"]
    return HttpResponse(f"{request.POST['field']} {file.name} {file.size}")


def stream(request: Any) -> StreamingHttpResponse:
    def pieces() -> Iterator[str]:
        for number in range(3):
            yield f"{number},"
            time.sleep(0.01)

    return StreamingHttpResponse(pieces(), content_type="text/plain")


def away(request: Any) -> HttpResponse:
    return redirect("hello", name="again")


def broken(request: Any) -> HttpResponse:
    raise RuntimeError("django page is broken")


urlpatterns = [
    path("hello/<name>", hello, name="hello"),
    path("form", form),
    path("stream", stream),
    path("away", away),
    path("broken", broken),
]
application = get_wsgi_application()

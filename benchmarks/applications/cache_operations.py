"""1,000 operations of the shared cache a request: `/get` or `/set`."""

import uwsgi

KEYS = [f"key-{number}" for number in range(1000)]
VALUE = b"v" * 100
BODY = b"done"
FIELDS = [("Content-Length", str(len(BODY)))]


def application(environ, start_response):
    if environ["PATH_INFO"] == "/set" or not uwsgi.cache_exists(KEYS[-1]):
        update = uwsgi.cache_update
        for key in KEYS:
            update(key, VALUE, 0, "bench")
    if environ["PATH_INFO"] == "/get":
        get = uwsgi.cache_get
        for key in KEYS:
            get(key, "bench")
    start_response("200 OK", FIELDS)
    return [BODY]

"""The smallest page: what is measured is the server."""

BODY = b"Hello, World!"
FIELDS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def application(environ, start_response):
    start_response("200 OK", FIELDS)
    return [BODY]

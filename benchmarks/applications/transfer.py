"""Bodies: `/post` reads one, `/upload` in pieces, `/large` sends 100 KB, `/stream`
sends 1,000 chunks.
"""

LARGE = b"x" * 100_000
CHUNK = b"y" * 100
LARGE_FIELDS = [("Content-Type", "text/plain"), ("Content-Length", str(len(LARGE)))]
STREAM_FIELDS = [("Content-Type", "text/plain")]


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/large":
        start_response("200 OK", LARGE_FIELDS)
        return [LARGE]
    if path == "/stream":
        start_response("200 OK", STREAM_FIELDS)
        return iter([CHUNK] * 1000)
    if path == "/upload":
        read = environ["wsgi.input"].read
        while read(65536):
            pass
        start_response("200 OK", [("Content-Length", "0")])
        return []
    if path == "/":
        start_response("200 OK", [("Content-Length", "0")])
        return []
    size = b"%d" % len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    start_response("200 OK", [("Content-Length", str(len(size)))])
    return [size]

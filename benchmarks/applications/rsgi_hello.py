"""The smallest page for granian's own interface."""

FIELDS = [("content-type", "text/plain")]


async def application(scope, protocol):
    if scope.proto == "http":
        protocol.response_bytes(200, FIELDS, b"Hello, World!")

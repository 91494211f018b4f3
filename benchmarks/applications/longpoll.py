"""Long polls: `/poll` waits for `/wake`; `/held` says how many wait."""

from gevent.event import Event

woken = Event()
waiting = [0]


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/poll":
        waiting[0] += 1
        woken.wait()
        waiting[0] -= 1
        body = b"news"
    elif path == "/wake":
        woken.set()
        body = b"ok"
    else:
        body = b"%d" % waiting[0]
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

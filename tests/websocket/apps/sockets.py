"""One application that uses websockets in every way applications do."""

import json
import os
import socket

import gevent
import gevent.select
import uwsgi
from gevent.queue import Queue

from geuwsgi import websocket

room = set()
jobs = Queue()


def echo(environ):
    uwsgi.websocket_handshake()
    try:
        while True:
            uwsgi.websocket_send(uwsgi.websocket_recv())
    except OSError as error:
        print(f"echo ended: {error.code} {error.reason}", flush=True)
    return b""


def echo_binary(environ):
    uwsgi.websocket_handshake(
        environ["HTTP_SEC_WEBSOCKET_KEY"], environ.get("HTTP_ORIGIN", "")
    )
    while True:
        try:
            message = uwsgi.websocket_recv()
        except OSError:
            return b""
        uwsgi.websocket_send_binary(message)


def select_loop(environ):
    """The commonest loop in the wild: one recv_nb for each turn of select."""
    uwsgi.websocket_handshake()
    descriptor = uwsgi.connection_fd()
    while True:
        ready, _, _ = gevent.select.select([descriptor], [], [], 4.0)
        try:
            message = uwsgi.websocket_recv_nb()
            if message:
                uwsgi.websocket_send(message)
            elif not ready:
                uwsgi.websocket_send("waited in vain")
        except OSError:
            return b""


def blocking_select_loop(environ):
    """select, then the blocking function."""
    descriptor = uwsgi.connection_fd()
    uwsgi.websocket_handshake()
    while True:
        ready, _, _ = gevent.select.select([descriptor], [], [], 4.0)
        try:
            if ready:
                uwsgi.websocket_send(uwsgi.websocket_recv())
            else:
                uwsgi.websocket_send("waited in vain")
        except OSError:
            return b""


def echo_object(environ):
    ws = websocket.accept(environ, subprotocols=["v2.echo", "v1.echo"])
    for message in ws:
        ws.send(message)
    print(f"object ended: {ws.close_code} {ws.close_reason}", flush=True)
    return []


def echo_gevent(environ):
    ws = environ["wsgi.websocket"]
    while (message := ws.receive()) is not None:
        ws.send(message)
    return []


def children(environ):
    """Everything from greenlets of the request, nothing from its own."""
    uwsgi.websocket_handshake()
    queue = Queue()

    def receive():
        while True:
            try:
                queue.put(uwsgi.websocket_recv())
            except OSError:
                queue.put(None)
                return

    def send():
        while (message := queue.get()) is not None:
            gevent.spawn(uwsgi.websocket_send, message).get()

    gevent.joinall([gevent.spawn(receive), gevent.spawn(send)])
    return b""


def from_elsewhere(environ):
    """Sent by a greenlet that belongs to no request."""
    uwsgi.websocket_handshake()
    context = uwsgi.request_context()
    while True:
        try:
            message = uwsgi.websocket_recv(request_context=context)
        except OSError:
            return b""
        jobs.put((context, message))


def work():
    while True:
        context, message = jobs.get()
        uwsgi.websocket_send(message, request_context=context)


def timeouts(environ):
    uwsgi.websocket_handshake()
    vain = 0
    while True:
        try:
            with gevent.Timeout(0.02):
                message = uwsgi.websocket_recv()
        except gevent.Timeout:
            vain += 1
            continue
        except OSError:
            return b""
        uwsgi.websocket_send(b"%s after %d" % (message, min(vain, 2)))


def suspended(environ):
    """uWSGI's asynchronous style, with a second descriptor to wait for."""
    uwsgi.websocket_handshake()
    ours, theirs = socket.socketpair()
    client = uwsgi.connection_fd()
    try:
        while True:
            uwsgi.wait_fd_read(client, 1)
            uwsgi.wait_fd_read(ours.fileno())
            uwsgi.suspend()
            ready = uwsgi.ready_fd()
            if ready == client:
                message = uwsgi.websocket_recv_nb()
                if message:
                    theirs.sendall(message)
            elif ready == ours.fileno():
                uwsgi.websocket_send(b"via socket: " + ours.recv(100))
            else:
                uwsgi.websocket_recv_nb()
                uwsgi.websocket_send("timeout")
    except OSError:
        return b""
    finally:
        ours.close()
        theirs.close()


def closes(environ):
    ws = websocket.accept(environ)
    code, _, reason = ws.recv().partition(" ")
    ws.close(int(code), reason)
    for message in ws:
        raise AssertionError(message)
    return []


def returns(environ):
    uwsgi.websocket_handshake()
    uwsgi.websocket_send("last words")
    return b""


def crashes(environ):
    websocket.accept(environ).recv()
    raise RuntimeError("the application crashed on purpose")


def disconnects(environ):
    uwsgi.websocket_handshake()
    gevent.spawn(lambda: (uwsgi.websocket_recv(), uwsgi.disconnect())).join()
    return ""


def sends_nothing_but(environ):
    """Never receives; the server pings all the same."""
    ws = websocket.accept(environ)
    while ws.is_open:
        gevent.sleep(0.05)
    return []


def chat(environ):
    ws = websocket.accept(environ)
    room.add(ws)
    try:
        ws.send(f"{len(room)} here")
        for message in ws:
            count = websocket.broadcast(room, message)
            ws.send(f"sent to {count}")
    finally:
        room.discard(ws)
    return []


def drains(environ):
    ws = websocket.accept(environ)
    ws.send(f"pid {os.getpid()}")
    told = False
    while True:
        try:
            ws.send(ws.recv(timeout=0.01))
        except TimeoutError:
            if ws.draining and uwsgi.draining() and not told:
                told = True
                ws.send("draining")


def twice(environ):
    uwsgi.websocket_handshake()
    try:
        uwsgi.websocket_handshake()
    except OSError as error:
        uwsgi.websocket_send(str(error))
    return b""


def areas(environ):
    """Send out of a shared area, here and from a greenlet that no request spawned."""
    uwsgi.websocket_handshake()
    uwsgi.sharedarea_write(0, 0, "grüß dich")
    text, binary = (
        uwsgi.websocket_send_from_sharedarea,
        uwsgi.websocket_send_binary_from_sharedarea,
    )
    text(0, 0, 6)
    binary(0, 7, 4)
    binary(0, uwsgi.sharedarea_memoryview(0).nbytes - 3)
    for wrong in [(7, 0), (0, 1 << 20), (0, 0, 1 << 20), (0, -1)]:
        for send in (text, binary):
            uwsgi.websocket_send(outcome(send, *wrong))
    context = uwsgi.request_context()
    gevent.get_hub().loop.run_callback(gevent.Greenlet(text, 0, 7, 4, context).start)
    uwsgi.websocket_recv()
    return []


def rejects(environ):
    websocket.accept(environ)


WEBSOCKETS = {
    "/echo": echo,
    "/echo-binary": echo_binary,
    "/select": select_loop,
    "/blocking-select": blocking_select_loop,
    "/object": echo_object,
    "/gevent": echo_gevent,
    "/children": children,
    "/from-elsewhere": from_elsewhere,
    "/timeouts": timeouts,
    "/suspended": suspended,
    "/closes": closes,
    "/returns": returns,
    "/crashes": crashes,
    "/disconnects": disconnects,
    "/sends-nothing-but": sends_nothing_but,
    "/chat": chat,
    "/drains": drains,
    "/twice": twice,
    "/areas": areas,
}


def outcome(function, *arguments):
    try:
        return repr(function(*arguments))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def calls(environ):
    """Call functions named in the body and tell what came of it."""
    results = []
    for name, arguments in json.load(environ["wsgi.input"]):
        arguments = [
            a.encode("latin-1")[2:] if isinstance(a, str) and a.startswith("b:") else a
            for a in arguments
        ]
        results.append(outcome(getattr(uwsgi, name), *arguments))
    return results


def generator(environ):
    """The style of uWSGI's own asynchronous loop: wait by yielding."""
    ours, theirs = socket.socketpair()
    gevent.spawn_later(0.02, theirs.sendall, b"!")
    yield b"waiting, "
    yield uwsgi.wait_fd_read(ours.fileno(), 5)
    yield b"ready: %s, " % ours.recv(1, socket.MSG_DONTWAIT)
    yield uwsgi.wait_fd_read(ours.fileno(), 1)
    yield b"timeout: %r, " % environ["x-wsgiorg.fdevent.timeout"]
    yield uwsgi.async_sleep(0.01)
    yield b"slept"
    ours.close()
    theirs.close()


def sockets_api(environ):
    """connect, send and recv of descriptors, against ourselves."""
    address = f"127.0.0.1:{environ['SERVER_PORT']}"
    out = []
    for connect in (uwsgi.connect, uwsgi.async_connect):
        descriptor = connect(address)
        if connect is uwsgi.async_connect:
            uwsgi.wait_fd_write(descriptor, 3)
            uwsgi.suspend()
            assert uwsgi.ready_fd() == descriptor
        assert uwsgi.is_connected(descriptor)
        uwsgi.send(descriptor, b"GET /plain HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := uwsgi.recv(descriptor):
            answer += piece
        out.append(answer.partition(b"\r\n\r\n")[2])
        assert not uwsgi.is_connected(descriptor)
        uwsgi.close(descriptor)
    return b" ".join(out)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path in WEBSOCKETS:
        return WEBSOCKETS[path](environ)
    if path == "/rejects":
        rejects(environ)
    if path == "/raw":
        uwsgi.send(b"HTTP/1.1 299 Raw\r\nX: y\r\n\r\nraw ")
        return [b"tail"]
    if path == "/disconnect":
        uwsgi.disconnect()
        return []
    if path == "/sendfile-alone":
        uwsgi.sendfile(__file__, 0, 4, 11)
        return []
    if path == "/forbidden":
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"no websockets for you"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/calls":
        return [json.dumps(calls(environ)).encode()]
    if path == "/generator":
        return generator(environ)
    if path == "/sockets-api":
        return [sockets_api(environ)]
    if path == "/chunks":
        return [b"|".join(iter(uwsgi.chunked_read, b""))]
    if path == "/chunks-nb":
        out = []
        while (chunk := uwsgi.chunked_read_nb()) != b"":
            if chunk is not None or not out or out[-1] is not None:
                out.append(chunk)
            gevent.sleep(0.001)
        return [repr(out).encode()]
    if path == "/chunks-late":
        return [outcome(uwsgi.chunked_read, 1).encode()]
    if path == "/sendfile":
        with open(__file__, "rb") as file:
            print(outcome(uwsgi.sendfile, file, 0, 4, 11))
        return []
    return [b"plain"]


# Greenlets do not cross the fork: each worker needs its own.
uwsgi.post_fork_hook = lambda: gevent.spawn(work)

"""picows echo and broadcast: `picows_server.py PORT`."""

import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

room = set()


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Broadcast(WSListener):
    def on_ws_connected(self, transport: WSTransport):
        room.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        for other in room:
            other.send(frame.msg_type, payload)

    def on_ws_disconnected(self, transport: WSTransport):
        room.discard(transport)


def choose(request):
    return Broadcast() if request.path == b"/broadcast" else Echo()


async def main():
    server = await ws_create_server(choose, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


uvloop.run(main())

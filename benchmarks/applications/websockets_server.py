"""websockets (asyncio, uvloop) echo and broadcast: `websockets_server.py PORT`."""

import asyncio
import sys

import uvloop
from websockets.asyncio.server import broadcast, serve

room = set()


async def answer(connection):
    if connection.request.path == "/broadcast":
        room.add(connection)
        async for message in connection:
            broadcast(room, message)
        room.discard(connection)
    else:
        async for message in connection:
            await connection.send(message)


async def main():
    async with serve(answer, "127.0.0.1", int(sys.argv[1]), compression=None):
        await asyncio.get_running_loop().create_future()


uvloop.run(main())

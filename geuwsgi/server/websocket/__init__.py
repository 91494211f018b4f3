"""Websockets on a worker's connections: engine, handshake, registry."""

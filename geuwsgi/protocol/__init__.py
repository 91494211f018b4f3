"""Bytes to messages and back: no sockets, no gevent, no clock, no settings."""

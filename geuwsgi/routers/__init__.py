"""Routers: processes that hand requests and connections on to other instances.

``plan`` says which routers a configuration asks for, ``routes`` where a key leads,
``nodes`` who may serve it, ``subscriptions`` how instances announce themselves,
``announcing`` how this one does. ``relays`` moves the bytes of the fastrouter, the
rawrouter and the sslrouter; the http router is a stage of the HTTP server
(`geuwsgi.server.fronting`). The master uses ``plan`` and ``announcing``, which know
nothing of gevent.
"""

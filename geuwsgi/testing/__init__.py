"""Helpers for tests: of geuwsgi itself, and of sites that run on it.

``process``   the installed command with an ini file, from start to last child
``client``    a blocking HTTP client that sends raw bytes and hides nothing
``packet``    requests in the uwsgi protocol, as a web server sends them
``stream``    a connection that lives in memory
``clock``     a clock that goes when it is told to
``fixtures``  the above as pytest fixtures
"""

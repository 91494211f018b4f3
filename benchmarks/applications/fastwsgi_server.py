"""fastwsgi: `fastwsgi_server.py PORT MODULE`."""

import importlib
import sys

import fastwsgi

fastwsgi.server.backlog = 4096
fastwsgi.run(
    importlib.import_module(sys.argv[2]).application, "127.0.0.1", int(sys.argv[1])
)

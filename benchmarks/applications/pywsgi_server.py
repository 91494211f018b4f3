"""gevent.pywsgi: `pywsgi_server.py PORT MODULE`."""

import importlib
import sys

from gevent import monkey
from gevent.pywsgi import WSGIServer

monkey.patch_all()
application = importlib.import_module(sys.argv[2]).application
server = WSGIServer(
    ("127.0.0.1", int(sys.argv[1])), application, log=None, backlog=4096
)
server.serve_forever()

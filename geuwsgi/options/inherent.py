"""Options that are always so: what they ask for happens without being asked.

Nothing reads their values. The text completes the sentence "always so: …".
"""

from __future__ import annotations

INHERENT: dict[str, str] = {
    "carbon-name-resolve": "names of carbon servers are looked up",
    "close-on-exec": "descriptors are closed in programs the application starts",
    "close-on-exec2": "descriptors are closed in programs the application starts",
    "die-on-term": "SIGTERM drains and stops",
    "disable-write-exception": "a client that is gone raises nothing",
    "early-emperor": "an emperor starts its vassals before the workers",
    "early-python": "Python is there from the start",
    "gevent-early-monkey-patch": "the standard library is cooperative from the start",
    "gevent-monkey-patch": "the standard library is cooperative from the start",
    "gevent-wait-for-hub": "the hub ends before the worker does",
    "harakiri-verbose": "the log says where an ended request was",
    "honour-range": "ranges of files are sent to who asks for them",
    "http-auto-chunked": "responses of unknown length are sent in chunks",
    "http-chunked-input": "request bodies may be chunked",
    "http-manage-expect": "Expect: 100-continue is answered; see 'limit-post'",
    "http-raw-body": "bodies are read as the request frames them",
    "http-websockets": "websockets are let through",
    "ienv": "variables are set before anything reads them",
    "ignore-sigpipe": "clients that are gone are not logged",
    "ignore-write-errors": "clients that are gone are not logged",
    "metrics-no-cores": "metrics are of workers and of the whole instance",
    "no-orphans": "workers end when the master is gone",
    "no-threads-wait": "threads are not waited for at the end",
    "single-interpreter": "there is one interpreter",
    "skip-atexit-teardown": "the interpreter ends without tearing itself down",
    "tcp-nodelay": "small packets are sent at once",
    "wsgi-accept-buffer": "a piece of a body may be any bytes-like object",
    "wsgi-env-behaviour": "environ is new for each request",
    "wsgi-manage-chunked-input": "wsgi.input decodes chunked bodies",
}

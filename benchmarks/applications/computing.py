"""The smallest page beside a greenlet that computes for 2 ms at a time."""

import time

import gevent
import hello

computing = []


def compute():
    while True:
        until = time.perf_counter() + 0.002
        while time.perf_counter() < until:
            pass
        gevent.sleep(0.002)


def application(environ, start_response):
    if not computing:
        computing.append(gevent.spawn(compute))
    return hello.application(environ, start_response)

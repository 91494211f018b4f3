"""Options accepted without effect, each with the reason.

The reason completes the sentence "has no effect here: …".
"""

from __future__ import annotations

from geuwsgi.options.kinds import Takes
from geuwsgi.options.registry import Elsewhere

INERT = {
    "alarm-cheap": Elsewhere("alarms need no thread here"),
    "alarm-msg-size": Elsewhere("messages of alarms have no fixed size here"),
    "alarm-segfault": Elsewhere(
        "there is no C code of ours that could crash", aliases=("segfault-alarm",)
    ),
    "autoload": Elsewhere("all plugins are built in", Takes.NOTHING),
    "backtrace-depth": Elsewhere("there are no native backtraces; Python's are whole"),
    "binary-append-data": Elsewhere("the program is not one binary file"),
    "binary-path": Elsewhere("a reload replaces no master, so starts no program"),
    "body-read-warning": Elsewhere("bodies are never read into memory as a whole"),
    "build-plugin": Elsewhere("there are no C plugins"),
    "cflags": Elsewhere("the program is not compiled C", Takes.NOTHING),
    "cgi-mode": Elsewhere(
        "responses always begin with the line their protocol asks for",
        Takes.NOTHING,
        short="c",
    ),
    "clock": Elsewhere("there is one clock"),
    "clock-list": Elsewhere(
        "there is one clock", Takes.NOTHING, aliases=("clocks-list",)
    ),
    "config-py": Elsewhere("the program is not built by uwsgiconfig", Takes.NOTHING),
    "dot-h": Elsewhere("there is no C interface", Takes.NOTHING),
    "drop-after-init": Elsewhere(
        "there are no plugins that could need other rights", Takes.NOTHING
    ),
    "enable-threads": Elsewhere("threads are always enabled", Takes.NOTHING, short="T"),
    "fastrouter-post-buffering-dir": Elsewhere("uWSGI ignores it, too"),
    "fastrouter-subscription-slot": Elsewhere("uWSGI ignores it, too"),
    "fd-safe": Elsewhere(
        "descriptors are inherited only where they are handed over",
        aliases=("safe-fd",),
    ),
    "ftok": Elsewhere("locks do not use System V semaphores"),
    "harakiri-no-arh": Elsewhere(
        "harakiri does not watch what runs after a request",
        Takes.NOTHING,
        aliases=("no-harakiri-after-req-hook", "no-harakiri-arh"),
    ),
    "http-post-buffering-dir": Elsewhere("uWSGI ignores it, too"),
    "ksm": Elsewhere("Python's memory holds no pages worth merging", Takes.MAYBE),
    "lock-engine": Elsewhere(
        "there is one kind of locks, and it survives dead processes"
    ),
    "log-master-bufsize": Elsewhere("log messages have no fixed size here"),
    "log-master-req-stream": Elsewhere("log pipes are streams already", Takes.NOTHING),
    "log-master-stream": Elsewhere("log pipes are streams already", Takes.NOTHING),
    "max-apps": Elsewhere("the number of applications is not limited"),
    "need-plugins": Elsewhere("all plugins are built in", aliases=("need-plugin",)),
    "never-swap": Elsewhere(
        "memory of a Python process cannot be locked usefully", Takes.NOTHING
    ),
    "no-defer-accept": Elsewhere("accepting is never deferred", Takes.NOTHING),
    "no-site": Elsewhere("the site module finds the packages", Takes.NOTHING),
    "pcre-jit": Elsewhere("regular expressions are Python's", Takes.NOTHING),
    "persistent-ipcsem": Elsewhere(
        "locks do not use System V semaphores", Takes.NOTHING
    ),
    "plugins": Elsewhere("all plugins are built in", aliases=("plugin",)),
    "plugins-dir": Elsewhere("all plugins are built in", aliases=("plugin-dir",)),
    "propagate-touch": Elsewhere(
        "the master alone watches touched files", Takes.NOTHING
    ),
    "py-call-osafterfork": Elsewhere(
        "Python's fork functions always run", Takes.NOTHING
    ),
    "py-call-uwsgi-fork-hooks": Elsewhere(
        "Python's fork hooks always run", Takes.NOTHING
    ),
    "python-worker-override": Elsewhere(
        "workers serve requests; a program of your own is a mule (mule = program.py)"
    ),
    "rawrouter-subscription-slot": Elsewhere("uWSGI ignores it, too"),
    "reaper": Elsewhere("children are always reaped", Takes.NOTHING, short="r"),
    "reload-os-env": Elsewhere(
        "os.environ is left as the application made it", Takes.NOTHING
    ),
    "rpc-max": Elsewhere("the number of functions is not limited"),
    "rrdtool": Elsewhere(
        "there are no rrd files; push to carbon or statsd, or have /metrics read"
    ),
    "rrdtool-freq": Elsewhere("there are no rrd files"),
    "rrdtool-lib": Elsewhere("there are no rrd files"),
    "shutdown-sockets": Elsewhere(
        "listening sockets are closed the right way anyway", Takes.NOTHING
    ),
    "signal-bufsize": Elsewhere(
        "signals do not wait in socket buffers", aliases=("signals-bufsize",)
    ),
    "skip-zero": Elsewhere(
        "descriptor 0 is taken for a socket only if it is one", Takes.NOTHING
    ),
    "spooler-cheap": Elsewhere(
        "a spooler that waits shares nearly all its memory with the others",
        Takes.NOTHING,
    ),
    "ssl-enable-sslv3": Elsewhere(
        "SSL 3 is broken and OpenSSL has none any more",
        Takes.NOTHING,
        aliases=("ssl-enable3",),
    ),
    "ssl-enable-tlsv1": Elsewhere("TLS 1.0 is broken", Takes.NOTHING),
    "ssl-tmp-dir": Elsewhere("TLS needs no temporary files"),
    "tcp-fast-open-client": Elsewhere(
        "outgoing connections are few", Takes.NOTHING, aliases=("tcp-fastopen-client",)
    ),
    "threaded-logger": Elsewhere(
        "the master writes logs without a thread", Takes.NOTHING
    ),
    "thunder-lock": Elsewhere("each connection wakes one worker", Takes.NOTHING),
    "thunder-lock-watchdog": Elsewhere("there is no thunder lock", Takes.NOTHING),
    "ugreen": Elsewhere("gevent's greenlets are the cores", Takes.NOTHING),
    "ugreen-stacksize": Elsewhere("gevent's greenlets are the cores"),
    "use-abort": Elsewhere(
        "there is no C code of ours that could crash", Takes.NOTHING
    ),
    "http-events": Elsewhere("one call of the system brings all that happened"),
    "http-buffer-size": Elsewhere("buffers have the size they need"),
    "http-uid": Elsewhere("all processes of an instance run as one user"),
    "http-gid": Elsewhere("all processes of an instance run as one group"),
    "http-harakiri": Elsewhere("nothing in a router waits but greenlets, with limits"),
    "http-stud-prefix": Elsewhere(
        "stud is no more; hitch, which followed it, speaks the PROXY protocol "
        "(http-enable-proxy-protocol)"
    ),
    "http-use-socket": Elsewhere("the workers serve HTTP themselves", Takes.MAYBE),
    "https-session-context": Elsewhere("OpenSSL names its contexts itself"),
    "fastrouter-buffer-size": Elsewhere("buffers have the size they need"),
    "fastrouter-events": Elsewhere("one call of the system brings all that happened"),
    "fastrouter-harakiri": Elsewhere(
        "nothing in a router waits but greenlets, with limits"
    ),
    "rawrouter-buffer-size": Elsewhere("buffers have the size they need"),
    "rawrouter-events": Elsewhere("one call of the system brings all that happened"),
    "rawrouter-harakiri": Elsewhere(
        "nothing in a router waits but greenlets, with limits"
    ),
    "sslrouter-buffer-size": Elsewhere("buffers have the size they need"),
    "sslrouter-events": Elsewhere("one call of the system brings all that happened"),
    "sslrouter-harakiri": Elsewhere(
        "nothing in a router waits but greenlets, with limits"
    ),
    "fastrouter-gid": Elsewhere("all processes of an instance run as one group"),
    "fastrouter-uid": Elsewhere("all processes of an instance run as one user"),
    "sslrouter-session-context": Elsewhere("OpenSSL names its contexts itself"),
    "subscription-clear-on-shutdown": Elsewhere(
        "subscriptions end with their router", Takes.NOTHING
    ),
    "exception-handler": Elsewhere(
        "plugins that handle exceptions are C code; reload-on-exception works"
    ),
    **dict.fromkeys(
        (
            *("fastcgi-modifier1", "fastcgi-modifier2"),
            *("http-socket-modifier1", "http-socket-modifier2"),
            *("https-socket-modifier1", "https-socket-modifier2"),
            *("raw-modifier1", "raw-modifier2", "scgi-modifier1", "scgi-modifier2"),
        ),
        Elsewhere("requests of these listeners are always the application's"),
    ),
    "no-fd-passing": Elsewhere(
        "descriptors are passed only where sticky or zerg ask for it", Takes.NOTHING
    ),
    "post-buffering-bufsize": Elsewhere("bodies are read in the blocks they come in"),
    "response-headers-limit": Elsewhere(
        "the head of a response may be as long as the application makes it"
    ),
    "ssl-session-timeout": Elsewhere(
        "Python's TLS leaves the life of session tickets to OpenSSL",
        aliases=("ssl-sessions-timeout",),
    ),
    "ssl-session-use-cache": Elsewhere(
        "sessions are resumed with tickets, which every worker can read",
        Takes.MAYBE,
        aliases=("ssl-sessions-use-cache",),
    ),
    "ssl-verify-depth": Elsewhere(
        "Python's TLS leaves the length of certificate chains to OpenSSL", Takes.MAYBE
    ),
    "start_response-nodelay": Elsewhere(
        "headers leave with the first bytes of the body, as PEP 3333 asks",
        Takes.NOTHING,
    ),
    "static-cache-paths-name": Elsewhere(
        "each worker remembers the places of static files by itself"
    ),
    "write-errors-exception-only": Elsewhere(
        "clients that are gone are not logged", Takes.NOTHING
    ),
    "write-errors-tolerance": Elsewhere(
        "a request whose client is gone ends at the first failed write"
    ),
    "wsgi-strict": Elsewhere(
        "an application may return one bytes object; nothing else is a shortcut",
        Takes.NOTHING,
    ),
}

"""Options accepted without effect, each with the reason.

The reason completes the sentence "has no effect here: …".
"""

from __future__ import annotations

from geuwsgi.options.kinds import Takes
from geuwsgi.options.registry import Elsewhere

INERT = {
    "alarm-cheap": Elsewhere(
        "Use the one alarm thread for curl alarms (takes an argument by mistake)"
    ),
    "alarm-msg-size": Elsewhere("Maximum alarm message size (default 8192)"),
    "alarm-segfault": Elsewhere(
        "Raise an alarm from the crash handler", aliases=("segfault-alarm",)
    ),
    "autoload": Elsewhere("Try to load plugins for unknown options", Takes.NOTHING),
    "backtrace-depth": Elsewhere("Depth of the native backtrace printed on crashes"),
    "binary-append-data": Elsewhere(
        "Print a resource in the form appendable to the binary"
    ),
    "body-read-warning": Elsewhere(
        "Log a warning when a body bigger than N MB is read into memory"
    ),
    "build-plugin": Elsewhere("Build a C plugin for this binary"),
    "cflags": Elsewhere("Print the C flags of the binary", Takes.NOTHING),
    "cgi-mode": Elsewhere(
        "Make plugins emit CGI style Status lines", Takes.NOTHING, short="c"
    ),
    "clock": Elsewhere("Clock source"),
    "clock-list": Elsewhere(
        "List clock sources", Takes.NOTHING, aliases=("clocks-list",)
    ),
    "config-py": Elsewhere("Print the embedded uwsgiconfig.py", Takes.NOTHING),
    "dot-h": Elsewhere("Print the embedded uwsgi.h", Takes.NOTHING),
    "enable-threads": Elsewhere(
        "Enables Python threads; a stub in 2.0.31 since threads are always on",
        Takes.NOTHING,
        short="T",
    ),
    "fastrouter-post-buffering-dir": Elsewhere("Deprecated directory setting"),
    "fastrouter-subscription-slot": Elsewhere("Deprecated, does nothing"),
    "fd-safe": Elsewhere("Do not close this fd on reload/exec", aliases=("safe-fd",)),
    "ftok": Elsewhere("Path for ftok() key generation of ipcsem locks"),
    "http-post-buffering-dir": Elsewhere("Deprecated directory setting (2.1-dev)"),
    "ksm": Elsewhere("Mark memory mergeable for Linux KSM", Takes.MAYBE),
    "lock-engine": Elsewhere("Lock implementation to use (posix mutex, ipcsem...)"),
    "log-master-req-stream": Elsewhere(
        "Use a stream socketpair for the request log pipe", Takes.NOTHING
    ),
    "log-master-stream": Elsewhere(
        "Use a stream socketpair for the log pipe", Takes.NOTHING
    ),
    "need-plugins": Elsewhere("Load plugins or fail", aliases=("need-plugin",)),
    "never-swap": Elsewhere("mlockall()", Takes.NOTHING),
    "no-defer-accept": Elsewhere("Do not set TCP_DEFER_ACCEPT", Takes.NOTHING),
    "pcre-jit": Elsewhere("Turn on PCRE JIT (PCRE builds)", Takes.NOTHING),
    "persistent-ipcsem": Elsewhere(
        "Leave SysV semaphores behind at exit", Takes.NOTHING
    ),
    "plugins": Elsewhere(
        "Load plugins (a reimplementation has them built in)", aliases=("plugin",)
    ),
    "plugins-dir": Elsewhere("Plugin search directory", aliases=("plugin-dir",)),
    "propagate-touch": Elsewhere(
        "Workaround that forwards touch events between processes", Takes.NOTHING
    ),
    "py-call-osafterfork": Elsewhere(
        "Run Python's after-fork handler in children", Takes.NOTHING
    ),
    "py-call-uwsgi-fork-hooks": Elsewhere(
        "Run CPython pre/post fork hooks around uWSGI forks", Takes.NOTHING
    ),
    "rawrouter-subscription-slot": Elsewhere("Deprecated, does nothing"),
    "reaper": Elsewhere("waitpid(-1) after each request", Takes.NOTHING, short="r"),
    "reload-os-env": Elsewhere("Rebuild os.environ each request", Takes.NOTHING),
    "rpc-max": Elsewhere("Maximum RPC slots (default 64)"),
    "shutdown-sockets": Elsewhere(
        "Call shutdown() before closing listeners (2.0.x only)", Takes.NOTHING
    ),
    "signal-bufsize": Elsewhere(
        "Socket buffer size of the signal pipe", aliases=("signals-bufsize",)
    ),
    "skip-zero": Elsewhere(
        "Do not test whether fd 0 is an inherited listening socket", Takes.NOTHING
    ),
    "ssl-enable-sslv3": Elsewhere(
        "Allow SSLv3", Takes.NOTHING, aliases=("ssl-enable3",)
    ),
    "ssl-enable-tlsv1": Elsewhere("Allow TLS 1.0", Takes.NOTHING),
    "ssl-tmp-dir": Elsewhere("Directory for temporary TLS files"),
    "tcp-fast-open-client": Elsewhere(
        "TCP fast open for outgoing connections",
        Takes.NOTHING,
        aliases=("tcp-fastopen-client",),
    ),
    "threaded-logger": Elsewhere(
        "Write logs from a thread of the master", Takes.NOTHING
    ),
    "thunder-lock": Elsewhere(
        "Take a cross-process lock around accept; irrelevant with one acceptor design or kernel balancing",
        Takes.NOTHING,
    ),
    "thunder-lock-watchdog": Elsewhere(
        "Guard against broken robust mutexes (2.1-dev)", Takes.NOTHING
    ),
    "ugreen": Elsewhere(
        "uWSGI's own coroutine engine (gevent replaces it)", Takes.NOTHING
    ),
    "ugreen-stacksize": Elsewhere("Stack pages of that engine"),
    "use-abort": Elsewhere("abort() on fatal faults for a core dump", Takes.NOTHING),
}

"""Decorators over the ``uwsgi`` module; also importable as ``uwsgidecorators``.

The names, arguments and task formats are uWSGI's, so that applications and tasks on
disk move over unchanged. What differs: decorated functions stay usable under their
names, a farm may be named by str, and a body that is no UTF-8 stays bytes.

Importing it takes ``uwsgi.spooler``, ``uwsgi.post_fork_hook`` and
``uwsgi.mule_msg_hook``. It needs a master.
"""

from __future__ import annotations

import functools
import importlib
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

uwsgi: Any = importlib.import_module("uwsgi")

if uwsgi.masterpid() == 0:
    raise Exception("you have to enable the uWSGI master process to use this module")

Function = TypeVar("Function", bound=Callable[..., Any])

# Applications look into these, as in uWSGI, so they are the module's.
spooler_functions: dict[str, Callable[..., Any]] = {}
mule_functions: dict[str, Callable[..., Any]] = {}
postfork_chain: list[Callable[[], Any]] = []

_FUNCTION, _RESULT = "ud_spool_func", "ud_spool_ret"
_ABOUT_THE_TASK = ("message_dict", "spooler", "priority", "at", "body")
_MULE_SERVICE = "uwsgi_mulefunc"


def get_free_signal() -> int:
    """Return the lowest signal that is not registered. Raises Exception without."""
    for number in range(256):
        if not uwsgi.signal_registered(number):
            return number
    raise Exception("No free uwsgi signal available")


# After the fork


def postfork_chain_hook() -> None:
    """Call everything that waits for the fork, in the order it came."""
    for function in postfork_chain:
        function()


class postfork:
    """Call a function in each process after its fork.

    ``@postfork`` is for all of them, ``@postfork(3)`` for worker 3 only.
    """

    def __init__(self, target: Callable[..., Any] | int) -> None:
        self.wid = 0
        self.f: Callable[..., Any] | None = None
        if callable(target):
            self._take(target)
        else:
            self.wid = target

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.f is None:
            self._take(args[0])
            return self
        if not self.wid or self.wid == uwsgi.worker_id():
            return self.f(*args, **kwargs)
        return None

    def _take(self, function: Callable[..., Any]) -> None:
        self.f = function
        functools.update_wrapper(self, function)
        postfork_chain.append(self)


# The spooler


def manage_spool_request(task: Mapping[Any, Any]) -> int:
    """Call the function that a task names, with str keys and values.

    An unknown function is a KeyError; the task stays and is tried again.
    """
    fields = {_as_text(key): value for key, value in task.items()}
    pickled = "args" in fields and "kwargs" in fields
    function = spooler_functions[_as_text(fields[_FUNCTION])]
    if pickled:
        args, kwargs = pickle.loads(fields["args"]), pickle.loads(fields["kwargs"])
        result = function(*args, **kwargs)
    else:
        result = function({key: _as_text(value) for key, value in fields.items()})
    forced = fields.get(_RESULT)
    return int(forced if forced is not None else result)


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class _Spooled:
    """A function whose calls become tasks."""

    def __init__(
        self, function: Callable[..., Any], result: int | None, pass_arguments: bool
    ) -> None:
        if "spooler" not in uwsgi.opt and "spooler-external" not in uwsgi.opt:
            raise Exception(
                "you have to enable the uWSGI spooler to use"
                f" @{type(self).__name__} decorator"
            )
        functools.update_wrapper(self, function)
        self.f = function
        self.pass_arguments = pass_arguments
        self.base_dict: dict[str, Any] = {_FUNCTION: function.__name__}
        if result is not None:
            self.base_dict[_RESULT] = str(result)
        spooler_functions[function.__name__] = function

    def __call__(self, *args: Any, **kwargs: Any) -> bytes:
        """Write a task; return the path of its file."""
        fields = dict(self.base_dict)
        if self.pass_arguments:
            for name in _ABOUT_THE_TASK:
                if name in kwargs:
                    fields[name] = kwargs.pop(name)
            fields.update(args=pickle.dumps(args), kwargs=pickle.dumps(kwargs))
        else:
            fields.update(*args[:1], **kwargs)
        path: bytes = uwsgi.spool(
            {_as_bytes(key): _as_bytes(value) for key, value in fields.items()}
        )
        return path

    spool = __call__


def _spool_decorator(
    function: Callable[..., Any] | None, pass_arguments: bool | None, result: int | None
) -> Any:
    if function is None:
        return lambda f: _Spooled(f, result, bool(pass_arguments))
    return _Spooled(function, result, bool(pass_arguments))


def spool(f: Any = None, pass_arguments: bool | None = None) -> Any:
    """Have calls run by the spooler, once; the task is done however it ends."""
    return _spool_decorator(f, pass_arguments, uwsgi.SPOOL_OK)


def spoolforever(f: Any = None, pass_arguments: bool | None = None) -> Any:
    """Have a call run by the spooler again and again."""
    return _spool_decorator(f, pass_arguments, uwsgi.SPOOL_RETRY)


def spoolraw(f: Any = None, pass_arguments: bool | None = None) -> Any:
    """Have calls run by the spooler; the function returns what becomes of the task."""
    return _spool_decorator(f, pass_arguments, None)


# Mules


def mule_msg_dispatcher(message: bytes) -> Any:
    """Call the function that a message from a ``mulefunc`` names."""
    try:
        call = pickle.loads(message)
        if call["service"] != _MULE_SERVICE:
            return None
    except Exception:
        sys.stderr.write(
            f"a mule message of {len(message)} bytes is no call of a function\n"
        )
        return None
    return mule_functions[call["func"]](*call["args"], **call["kwargs"])


class mulefunc:
    """Have calls of a function run by a mule.

    ``@mulefunc`` lets any mule, ``@mulefunc(2)`` that one and ``@mulefunc("farm")`` one
    of a farm run them. Calls return None.
    """

    def __init__(self, target: Callable[..., Any] | int | str | bytes = 0) -> None:
        self.mule: Any = 0
        self.f: Callable[..., Any] | None = None
        self.fname = ""
        if callable(target):
            self._take(target)
        else:
            self.mule = target

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.f is None:
            self._take(args[0])
            return self
        return self.real_call(*args, **kwargs)

    def real_call(self, *args: Any, **kwargs: Any) -> None:
        """Send the call to the mule."""
        message = {
            "service": _MULE_SERVICE,
            "func": self.fname,
            "args": args,
            "kwargs": kwargs,
        }
        uwsgi.mule_msg(pickle.dumps(message), self.mule)

    def _take(self, function: Callable[..., Any]) -> None:
        self.f = function
        self.fname = function.__name__
        functools.update_wrapper(self, function)
        mule_functions[self.fname] = function


def _in_mule(number: int, work: Callable[[], object]) -> None:
    """Have ``work`` done in a mule after its fork; its failure ends the mule."""

    def begin() -> None:
        if uwsgi.mule_id() != number:
            return
        try:
            work()
        except Exception:
            traceback.print_exc()
            sys.exit(1)

    postfork_chain.append(begin)


class mule:
    """Run a function once in a mule, in place of its work."""

    def __init__(self, num: int) -> None:
        self.num = num

    def __call__(self, f: Function) -> Function:
        _in_mule(self.num, f)
        return f


class muleloop(mule):
    """Run a function in a mule for ever."""

    def __call__(self, f: Function) -> Function:
        _in_mule(self.num, lambda: _for_ever(f))
        return f


class mulemsg(mule):
    """Run a function in a mule for each message it gets."""

    def __call__(self, f: Function) -> Function:
        _in_mule(self.num, lambda: _for_ever(lambda: _handle(f, uwsgi.mule_get_msg())))
        return f


class farm:
    """Run a function in the mules of a farm for each message to the farm."""

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        self.name = name

    def __call__(self, f: Function) -> Function:
        farm_name = self.name

        def begin() -> None:
            if uwsgi.mule_id() and uwsgi.in_farm(*filter(None, [farm_name])):
                _for_ever(lambda: _handle(f, uwsgi.farm_get_msg()))

        postfork_chain.append(begin)
        return f


def _for_ever(function: Callable[[], object]) -> None:
    while True:
        function()


def _handle(function: Callable[[bytes], object], message: bytes | None) -> None:
    if message:
        function(message)


# Signals


class signal:
    """Call a function when a signal comes; ``target`` says where."""

    def __init__(self, num: int, **kwargs: Any) -> None:
        self.num = num
        self.target = kwargs.get("target", "")

    def __call__(self, f: Function) -> Function:
        uwsgi.register_signal(self.num, self.target, f)
        return f


class _Raised:
    """A signal of its own (``signum``, or a free one), and what raises it."""

    def __init__(self, **kwargs: Any) -> None:
        number = kwargs.get("signum")
        self.num = get_free_signal() if number is None else number
        self.target = kwargs.get("target", "")

    def arm(self) -> None:
        raise NotImplementedError

    def __call__(self, f: Function) -> Function:
        uwsgi.register_signal(self.num, self.target, f)
        self.arm()
        return f


class timer(_Raised):
    """Call a function every ``secs`` seconds."""

    def __init__(self, secs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.secs = secs

    def arm(self) -> None:
        uwsgi.add_timer(self.num, self.secs)


class rbtimer(_Raised):
    """Call a function every ``secs`` seconds, ``iterations`` times or for ever."""

    def __init__(self, secs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.secs = secs
        self.iterations = kwargs.get("iterations", 0)

    def arm(self) -> None:
        uwsgi.add_rb_timer(self.num, self.secs, self.iterations)


class cron(_Raised):
    """Call a function at times: -1 is any, -N every N."""

    def __init__(
        self,
        minute: int,
        hour: int,
        day: int,
        month: int,
        dayweek: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.times = (minute, hour, day, month, dayweek)

    def arm(self) -> None:
        uwsgi.add_cron(self.num, *self.times)


class filemon(_Raised):
    """Call a function when something happens to a file or in a directory."""

    def __init__(self, fsobj: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fsobj = fsobj

    def arm(self) -> None:
        uwsgi.add_file_monitor(self.num, self.fsobj)


# The rest


class rpc:
    """Offer a function to remote calls under a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, f: Function) -> Function:
        uwsgi.register_rpc(self.name, f)
        return f


class erlang:
    """Refused: geuwsgi is no Erlang node."""

    def __init__(self, name: str) -> None:
        raise Exception("geuwsgi has no erlang support")


def lock(f: Callable[..., Any]) -> Callable[..., Any]:
    """Let only one process and greenlet at a time be in a function.

    In the spooler, which has no locks, the call is left out, as in uWSGI.
    """

    @functools.wraps(f)
    def locked(*args: Any, **kwargs: Any) -> Any:
        if uwsgi.i_am_the_spooler():
            return None
        uwsgi.lock()
        try:
            return f(*args, **kwargs)
        finally:
            uwsgi.unlock()

    return locked


def thread(f: Callable[..., Any]) -> Callable[..., Any]:
    """Run calls of a function in a thread; a call returns the function."""

    @functools.wraps(f)
    def start(*args: Any, **kwargs: Any) -> Callable[..., Any]:
        threading.Thread(target=f, args=args, kwargs=kwargs, daemon=True).start()
        return f

    return start


class harakiri:
    """End the request if a function takes longer than ``seconds``."""

    def __init__(self, seconds: int) -> None:
        self.s = seconds

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(f)
        def limited(*args: Any, **kwargs: Any) -> Any:
            uwsgi.set_user_harakiri(self.s)
            try:
                return f(*args, **kwargs)
            finally:
                uwsgi.set_user_harakiri(0)

        return limited


uwsgi.spooler = manage_spool_request
uwsgi.post_fork_hook = postfork_chain_hook
uwsgi.mule_msg_hook = mule_msg_dispatcher

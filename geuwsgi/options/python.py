"""Python and the applications."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, TEXT, TEXTS, Takes


class Python(Section):
    """Python and the applications."""

    callable_: str | None = option(
        "name of the callable to look up (default application)",
        TEXT,
        default="application",
    )
    dynamic_apps: bool = option(
        "permit app loading through uwsgi variables; off by default in 2.1-dev",
        FLAG,
        since="2.1",
    )
    early_pyimport: str | None = option(
        "import a module in the early phase", TEXT, since="2.1"
    )
    early_python: bool = option(
        "start the interpreter early for the fork server", FLAG, since="2.1"
    )
    early_python_import: str | None = option(
        "import a module in the early phase", TEXT, since="2.1"
    )
    early_python_path: tuple[str, ...] = option(
        "path entry for the early phase", TEXTS, since="2.1"
    )
    early_pythonpath: tuple[str, ...] = option(
        "path entry for the early phase", TEXTS, since="2.1"
    )
    eval_: str | None = option("load the app by evaluating Python code", TEXT)
    wsgi_file: str | None = option(
        "load the app from a Python file", TEXT, aliases=("file",)
    )
    home: str | None = option(
        "virtualenv / PYTHONHOME",
        TEXT,
        short="H",
        aliases=(
            "pyhome",
            "venv",
            "virtualenv",
        ),
    )
    ignore_script_name: bool = option("do not select apps by SCRIPT_NAME", FLAG)
    import_: tuple[str, ...] = option(
        "import a module/.py file just before the apps load (master, or every worker under lazy-apps)",
        TEXTS,
        aliases=(
            "py-import",
            "pyimport",
            "python-import",
        ),
    )
    ini_paste: str | None = option(
        "pasteDeploy ini that also holds a [uwsgi] section", TEXT
    )
    ini_paste_logged: str | None = option("same plus logging config", TEXT)
    manage_script_name: bool = option(
        "split the path at the longest mount point and set SCRIPT_NAME/PATH_INFO", FLAG
    )
    module: str | None = option(
        "load the app from a module: pkg.mod[:callable]",
        TEXT,
        short="w",
        aliases=("wsgi",),
    )
    mount: tuple[str, ...] = option(
        "mountpoint=app: serve an app under a path", TEXTS, aliases=("worker-mount",)
    )
    need_app: bool = option(
        "exit with code 22 if no app loads", FLAG, takes=Takes.MAYBE
    )
    no_default_app: bool = option(
        "answer 500 rather than use the default app when no mount point matches", FLAG
    )
    no_site: bool = option("do not import site", FLAG)
    optimize: int = option(
        "python optimisation level", INT, short="O", at_least=0, when_true=1
    )
    paste: str | None = option("pasteDeploy URI (config:path)", TEXT)
    paste_logger: bool = option("apply the logging config of the paste file", FLAG)
    paste_name: str | None = option("section of the paste file", TEXT, since="2.1")
    pecan: str | None = option("pecan config file", TEXT)
    post_pymodule_alias: tuple[str, ...] = option(
        "same, done after the uwsgi module exists", TEXTS
    )
    pythonpath: tuple[str, ...] = option(
        "add a directory or glob to sys.path",
        TEXTS,
        aliases=(
            "pp",
            "python-path",
        ),
    )
    py_sys_executable: str | None = option(
        "value of sys.executable", TEXT, aliases=("py-executable",)
    )
    py_master_check_signals: bool = option(
        "run Python signal handlers in the master", FLAG, since="2.1"
    )
    py_programname: str | None = option(
        "program name given to Python", TEXT, aliases=("py-program-name",)
    )
    pyargv: str | None = option("sys.argv (one string, split on blanks)", TEXT)
    pymodule_alias: tuple[str, ...] = option("name=module alias in sys.modules", TEXTS)
    python_raw: str | None = option("python file handling raw connections", TEXT)
    python_worker_override: str | None = option(
        "script that replaces the worker main loop", TEXT
    )
    shared_import: tuple[str, ...] = option(
        "import a module/.py file once in the master before any fork, even under lazy-apps",
        TEXTS,
        aliases=(
            "shared-py-import",
            "shared-pyimport",
            "shared-python-import",
        ),
    )
    single_interpreter: bool = option(
        "run every app in the main interpreter (practically mandatory with gevent)",
        FLAG,
        short="i",
    )
    vhost: bool = option("select app by SERVER_NAME as well as path", FLAG)
    vhost_host: bool = option("select app by Host as well as path", FLAG)

"""Python and the applications."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, TEXT, TEXTS, Takes


class Python(Section):
    """Python and the applications."""

    callable_: str | None = option(
        "serve this callable of the module or file", TEXT, default="application"
    )
    dynamic_apps: bool = option(
        "let the front server name applications to load, in variables of the request",
        FLAG,
        since="2.1",
    )
    early_pyimport: str | None = option(
        "import a Python module before anything forks", TEXT, since="2.1"
    )
    early_python: bool = option(
        "start Python before the application server is set up", FLAG, since="2.1"
    )
    early_python_import: str | None = option(
        "import a Python module before anything forks", TEXT, since="2.1"
    )
    early_python_path: tuple[str, ...] = option(
        "add a directory to the module search path before anything forks",
        TEXTS,
        since="2.1",
    )
    early_pythonpath: tuple[str, ...] = option(
        "add a directory to the module search path before anything forks",
        TEXTS,
        since="2.1",
    )
    eval_: str | None = option("load the application by running this Python code", TEXT)
    wsgi_file: str | None = option(
        "load the application from this file", TEXT, aliases=("file",)
    )
    home: str | None = option(
        "use this virtual environment",
        TEXT,
        short="H",
        aliases=(
            "pyhome",
            "venv",
            "virtualenv",
        ),
    )
    ignore_script_name: bool = option(
        "do not choose the application by SCRIPT_NAME", FLAG
    )
    import_: tuple[str, ...] = option(
        "import a module before the applications",
        TEXTS,
        aliases=(
            "py-import",
            "pyimport",
            "python-import",
        ),
    )
    ini_paste: str | None = option(
        "read an ini file that also holds a paste application", TEXT
    )
    ini_paste_logged: str | None = option(
        "read an ini file that also holds a paste application and its logging", TEXT
    )
    manage_script_name: bool = option(
        "choose the application by the longest mount point and split the path there",
        FLAG,
    )
    module: str | None = option(
        "load the application from a module: package.module[:callable]",
        TEXT,
        short="w",
        aliases=("wsgi",),
    )
    mount: tuple[str, ...] = option(
        "serve an application under a path: path=application",
        TEXTS,
        aliases=("worker-mount",),
    )
    need_app: bool = option(
        "exit with status 22 if no application loads", FLAG, takes=Takes.MAYBE
    )
    no_default_app: bool = option(
        "answer 500 when no mount point matches, instead of asking the default application",
        FLAG,
    )
    optimize: int = option(
        "set Python's level of optimisation", INT, short="O", at_least=0, when_true=1
    )
    paste: str | None = option(
        "load the application with PasteDeploy: config:path", TEXT
    )
    paste_logger: bool = option("set up logging from the paste file", FLAG)
    paste_name: str | None = option(
        "load this application of the paste file", TEXT, since="2.1"
    )
    pecan: str | None = option(
        "load the application with this Pecan configuration", TEXT
    )
    post_pymodule_alias: tuple[str, ...] = option(
        "give a module another name, after the uwsgi module exists: name=module", TEXTS
    )
    pythonpath: tuple[str, ...] = option(
        "add a directory to the module search path",
        TEXTS,
        aliases=(
            "pp",
            "python-path",
        ),
    )
    py_sys_executable: str | None = option(
        "set sys.executable", TEXT, aliases=("py-executable",)
    )
    py_master_check_signals: bool = option(
        "run Python signal handlers in the master", FLAG, since="2.1"
    )
    py_programname: str | None = option(
        "set the name Python is started under", TEXT, aliases=("py-program-name",)
    )
    pyargv: str | None = option("set sys.argv to these words", TEXT)
    pymodule_alias: tuple[str, ...] = option(
        "give a module another name: name=module", TEXTS
    )
    python_raw: str | None = option("hand raw connections to this file", TEXT)
    shared_import: tuple[str, ...] = option(
        "import a module once, before any fork",
        TEXTS,
        aliases=(
            "shared-py-import",
            "shared-pyimport",
            "shared-python-import",
        ),
    )
    single_interpreter: bool = option(
        "load all applications into one interpreter", FLAG, short="i"
    )
    vhost: bool = option("choose the application by SERVER_NAME, too", FLAG)
    vhost_host: bool = option("choose the application by the Host header, too", FLAG)

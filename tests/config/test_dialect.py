"""The dialect, each rule through a whole reading. What uWSGI does was tried on it."""

from __future__ import annotations

import pytest

from geuwsgi.config import Topic
from tests.config.world import World, errors, notes, read_in, read_ini, values

# -- order ---------------------------------------------------------------------------


def test_environment_comes_before_options_and_these_before_bare_files() -> None:
    world = World(
        {"p.ini": "[uwsgi]\nprocesses = 3\n"}, environ={"UWSGI_PROCESSES": "1"}
    )
    assert read_in(world).configuration.settings.workers.processes == 1
    loading = read_in(world, "p.ini", "--processes", "5")
    assert loading.configuration.settings.workers.processes == 3
    loading = read_in(world, "--ini", "p.ini", "--processes", "5")
    assert loading.configuration.settings.workers.processes == 5


def test_lists_grow_in_order() -> None:
    loading = read_ini("env = A=1\nenv = B=2", "--env", "C=3")
    assert loading.configuration.settings.process.env == ("A=1", "B=2", "C=3")


def test_environment_variables_of_the_server_itself_are_no_options() -> None:
    world = World(environ={"UWSGI_RELOADS": "1", "UWSGI_HTTP": ":80", "HTTP": "x"})
    assert values(read_in(world)) == {"http": ":80"}


# -- files ---------------------------------------------------------------------------


def test_a_section_is_chosen_with_a_colon() -> None:
    world = World({"a.ini": "[uwsgi]\nmode=u\n[web]\nmode=w\nini=:more\n[more]\nx=1"})
    loading = read_in(world, "--ini", "a.ini:web")
    assert values(loading) == {"mode": "w", "x": "1"}


def test_include_puts_options_where_it_stands_and_inherit_behind_all() -> None:
    files = {"b.ini": "[uwsgi]\nprocesses=7\n"}
    loading = read_ini("include=b.ini\nprocesses=2", files=files)
    assert loading.configuration.settings.workers.processes == 2
    loading = read_ini("inherit=b.ini\nprocesses=2", files=files)
    assert loading.configuration.settings.workers.processes == 7


def test_an_inherited_file_sees_and_gives_variables() -> None:
    files = {"b.ini": "[uwsgi]\nhere=/srv/%(name)\n"}
    loading = read_ini("inherit=b.ini\nname=foo\nchdir=%(here)", files=files)
    assert loading.configuration.settings.process.chdir == "/srv/foo"


def test_formats_may_include_each_other() -> None:
    world = World(
        {
            "a.yml": "uwsgi:\n  include: b.json\n",
            "b.json": '{"uwsgi": {"include": "c.xml"}}',
            "c.xml": "<uwsgi><mode>end</mode></uwsgi>",
        }
    )
    loading = read_in(world, "a.yml")
    assert loading.configuration.settings.process.mode == "end"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("fd://5", "from 5"),
        ("exec://make it", "made"),
        ("http://box/a.ini", "fetched"),
        ("-", "typed"),
    ],
)
def test_schemes_stand_for_other_sources(source: str, expected: str) -> None:
    def ini(text: str) -> str:
        return f"[uwsgi]\nmode = {text}\n"

    world = World(
        descriptors={5: ini("from 5"), 0: ini("typed")},
        commands={"make it": ini("made")},
        urls={"http://box/a.ini": ini("fetched")},
    )
    loading = read_in(world, "--ini", source)
    assert errors(loading) == []
    assert loading.configuration.settings.process.mode == expected


def test_what_belongs_to_a_compiled_program_is_refused() -> None:
    assert errors(read_ini("ini = data://0")) == [
        "app.ini:2: cannot read 'data://0':"
        " blobs appended to the program belong to uWSGI's binary"
    ]


def test_a_missing_file_is_an_error_where_it_is_named() -> None:
    assert errors(read_ini("mode=x\ninclude = gone.ini")) == [
        "app.ini:3: cannot read 'gone.ini': No such file or directory"
    ]


def test_a_file_that_includes_itself_is_an_error() -> None:
    files = {"b.ini": "[uwsgi]\nini = app.ini"}
    assert errors(read_ini("ini = b.ini", files=files)) == [
        "b.ini:2: 'app.ini' is included by itself"
    ]


def test_an_unknown_format_is_an_error() -> None:
    assert errors(read_ini("include = app.conf")) == [
        "app.ini:2: cannot tell the format of 'app.conf' from its name"
    ]


def test_a_section_without_a_file_is_an_error() -> None:
    assert errors(read_in(World(), "--ini", ":web")) == [
        "command line: ':web' names a section, but no file was read yet"
    ]


def test_a_missing_section_is_told_with_the_others() -> None:
    world = World({"a.ini": "[web]\nmode=1\n[api]\n"})
    assert notes(read_in(world, "--ini", "a.ini")) == [
        "command line: there is no section 'uwsgi' in 'a.ini'; it has web, api"
    ]


def test_text_is_put_before_and_behind_files() -> None:
    world = World(
        {
            "before": "[uwsgi]\nmode=%s\n",
            "after": "\n[uwsgi]\nchdir=/\n",
            "a.ini": "[uwsgi]\nmaster=1",
        }
    )
    loading = read_in(
        world, "--inject-before=before", "--inject-after=after", "--ini=a.ini"
    )
    settings = loading.configuration.settings
    assert (settings.process.mode, settings.process.chdir) == ("a.ini", "/")
    assert settings.process.master


def test_ini_paste_is_read_and_stays_a_setting() -> None:
    files = {"d.ini": "[uwsgi]\nmaster=1\n[app:main]\nuse=egg:x"}
    settings = read_ini("ini-paste = d.ini", files=files).configuration.settings
    assert settings.process.master
    assert settings.python.ini_paste == "d.ini"


# -- bare words ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("app.py", "wsgi-file"),
        ("site/app.wsgi", "wsgi-file"),
        ("pkg.mod:app", "module"),
        (":8000", "http"),
        ("127.0.0.1:8000", "http"),
        ("[::1]x:8000", "http"),
        ("8000", "http"),
        ("/run/app.sock", "http-socket"),
    ],
)
def test_a_bare_word_stands_for_an_option(word: str, name: str) -> None:
    if word.startswith("["):
        assert values(read_in(World(), word)) == {}
    else:
        assert values(read_in(World(), word)) == {name: word}


def test_a_bare_word_nobody_understands_is_an_error() -> None:
    assert errors(read_in(World(), "what is this")) == [
        "command line: cannot tell what 'what is this' is"
    ]


# -- substitution --------------------------------------------------------------------


def test_variables_files_and_placeholders_are_put_in() -> None:
    loading = read_ini(
        "base = $(HOME)/srv\nchdir = %(base)/@(name)",
        environ={"HOME": "/root"},
        files={"name": "site\n"},
    )
    assert loading.configuration.settings.process.chdir == "/root/srv/site"


def test_only_one_newline_of_a_file_is_cut() -> None:
    assert values(read_ini("x = a@(f)b", files={"f": "1\n\n"})) == {"x": "a1\nb"}


def test_unknown_variables_and_placeholders_stay() -> None:
    text = "log-format = %(addr) $(NOPE)"
    assert values(read_ini(text)) == {"log-format": "%(addr) $(NOPE)"}


def test_a_placeholder_is_the_first_value_of_its_name() -> None:
    assert values(read_ini("n=1\nn=2\nx=%(n)"))["x"] == "1"


def test_placeholders_may_be_options_and_stand_later() -> None:
    assert values(read_ini("x=%(processes)\nprocesses=%(m)\nm=3"))["x"] == "3"


def test_a_missing_file_in_a_value_is_an_error() -> None:
    assert errors(read_ini("x = @(gone)")) == [
        "app.ini:2: x: cannot read 'gone': No such file or directory"
    ]


def test_a_value_that_contains_itself_is_an_error() -> None:
    assert errors(read_ini("x = %(y)\ny = a%(x)")) == [
        "app.ini:2: x: %(y) leads to itself",
        "app.ini:3: y: %(x) leads to itself",
    ]


def test_directives_see_their_raw_text() -> None:
    assert errors(read_ini("ini = $(HOME).ini", environ={"HOME": "app"})) == [
        "app.ini:2: cannot read '$(HOME).ini': No such file or directory"
    ]


def test_variables_set_early_are_seen_by_what_follows() -> None:
    text = "ienv = PORT=80\nhttp = :$(PORT)\nif-env = PORT\nmode = %(_)\nend"
    assert values(read_ini(text))["http"] == ":80"
    assert values(read_ini(text))["mode"] == "80"


# -- set -----------------------------------------------------------------------------


def test_set_makes_options_and_variables() -> None:
    loading = read_ini("set = processes=4\nset-ph = a=%(b)\nset = b=c\nmode=%(a)")
    settings = loading.configuration.settings
    assert settings.workers.processes == 4
    assert settings.process.mode == "c"


def test_a_placeholder_must_not_be_an_option() -> None:
    assert errors(read_ini("set-placeholder = master=1")) == [
        "app.ini:2: 'master' is an option and cannot be a placeholder"
    ]


@pytest.mark.parametrize("name", ["set", "set-placeholder", "set-ph"])
def test_a_set_without_equals_sign_is_an_error(name: str) -> None:
    assert errors(read_ini(f"{name} = x")) == [
        f"app.ini:2: {name}: 'x' is not name=value"
    ]


def test_a_variable_set_on_the_command_line_is_no_mistake() -> None:
    assert errors(read_in(World(), "--set", "base=/srv")) == []


def test_resolve_makes_a_variable_of_an_address() -> None:
    world = World(
        {"a.ini": "[uwsgi]\nresolve = ip=db\nmode = %(ip)"}, hosts={"db": "10.0.0.1"}
    )
    assert values(read_in(world, "a.ini"))["mode"] == "10.0.0.1"
    assert errors(read_ini("resolve = ip=db")) == ["app.ini:2: cannot resolve 'db'"]


def test_new_options_are_made_of_others() -> None:
    text = "declare-option = site=mode=$1;procname=$2\nsite = a b\nx = %(mode)"
    loading = read_ini(text)
    process = loading.configuration.settings.process
    assert (process.mode, process.procname) == ("a", "b")
    assert values(loading)["x"] == "a"


def test_late_options_are_made_after_all_files() -> None:
    text = "who=me\ndeclare-option2 = site=mode=$1\nsite = %(who)"
    assert read_ini(text).configuration.settings.process.mode == "me"


def test_an_option_made_of_itself_is_an_error() -> None:
    assert errors(read_ini("declare-option = a=a=$1\na=1")) == [
        "app.ini:3: option a leads to itself"
    ]


def test_a_late_option_made_of_itself_is_an_error() -> None:
    assert errors(read_ini("declare-option2 = a=a=$1;a=$1\na=1")) == [
        "app.ini:3: option a leads to itself",
        "app.ini:3: option a leads to itself",
    ]


def test_a_file_that_inherits_itself_is_an_error() -> None:
    assert errors(read_ini("inherit = app.ini\ninherit = b.ini")) == [
        "app.ini:3: cannot read 'b.ini': No such file or directory",
        "app.ini:2: file app.ini leads to itself",
        "app.ini:3: cannot read 'b.ini': No such file or directory",
    ]
    assert len(errors(read_ini("inherit = ./%o"))) == 1


def test_a_known_name_cannot_be_declared() -> None:
    assert errors(read_ini("declare-option = master=x=1")) == [
        "app.ini:2: 'master' is an option already"
    ]


# -- conditions and loops --------------------------------------------------------------

HOLDS = [
    ("if-env = HOME", "/root"),
    ("if-env = HOME=/root", "/root"),
    ("ifenv = HOME", "/root"),
    ("if-not-env = NOPE", "%(_)"),
    ("if-not-env = HOME=/other", "%(_)"),
    ("mode=m\nif-opt = mode", "m"),
    ("mode=m\nif-opt = mode=m", "m"),
    ("if-not-opt = mode", "%(_)"),
    ("if-exists = app.ini", "app.ini"),
    ("if-exists = /etc", "/etc"),
    ("if-not-exists = /nope", "%(_)"),
    ("if-file = app.ini", "app.ini"),
    ("if-not-file = /etc", "%(_)"),
    ("if-dir = /etc", "/etc"),
    ("if-directory = /etc", "/etc"),
    ("if-not-dir = app.ini", "%(_)"),
    ("if-plugin = python3", "python3"),
    ("if-not-plugin = php", "%(_)"),
    ("if-not-reload", "%(_)"),
    ("if-hostname = box", "box"),
    ("if-not-hostname = other", "%(_)"),
    ("if-hostname-match = ^b.x$", "box"),
    ("if-not-hostname-match = y", "%(_)"),
]


def _in_block(directive: str, body: str) -> dict[str, object]:
    text = f"[uwsgi]\n{directive}\n{body}\nendif\nafter = 1\n"
    world = World({"app.ini": text}, environ={"HOME": "/root"}, directories=["/etc"])
    loading = read_in(world, "--ini", "app.ini")
    assert errors(loading) == []
    return values(loading)


@pytest.mark.parametrize(("directive", "item"), HOLDS)
def test_options_of_a_condition_that_holds_count(directive: str, item: str) -> None:
    found = _in_block(directive, "x = %(_)")
    assert found["x"] == item
    assert found["after"] == "1"


@pytest.mark.parametrize(
    "directive",
    [
        "if-env = NOPE",
        "if-env = HOME=/other",
        "if-not-env = HOME",
        "if-opt = mode",
        "if-exists = /nope",
        "if-file = /etc",
        "if-dir = app.ini",
        "if-plugin = php",
        "if-reload",
        "if-hostname = other",
        "if-hostname-match = y",
    ],
)
def test_options_of_a_condition_that_fails_are_gone(directive: str) -> None:
    found = _in_block(directive, "x = 1\ninclude = gone.ini")
    assert "x" not in found
    assert found["after"] == "1"


def test_else_turns_the_condition_around() -> None:
    assert _in_block("if-env = NOPE", "x = 1\nelse\nx = 2")["x"] == "2"
    assert _in_block("if-env = HOME", "x = 1\nelse\nx = 2")["x"] == "1"


@pytest.mark.parametrize("end", ["end", "endif", "end-if", "endfor", "end-for ="])
def test_any_end_closes_any_block(end: str) -> None:
    assert values(read_ini(f"if-env = NOPE\nx=1\n{end}\ny=2"))["y"] == "2"


def test_a_loop_repeats_each_option_for_each_item() -> None:
    loading = read_ini("for = a b\nenv = X_%(_)=1\nenv = Y_%(_)=1\nendfor")
    assert loading.configuration.settings.process.env == (
        "X_a=1",
        "X_b=1",
        "Y_a=1",
        "Y_b=1",
    )


def test_loops_run_over_numbers_lines_and_paths() -> None:
    files = {"lines": "A=1\nB=2\n", "x.py": "", "y.py": ""}
    loading = read_ini(
        "for-times = 2\nadd-header = X-%(_)\nendfor\n"
        "for-readline = lines\nenv = %(_)\nendfor\n"
        "for-glob = *.py\nimport = %(_)\nendfor",
        files=files,
    )
    settings = loading.configuration.settings
    assert settings.headers.add_header == ("X-1", "X-2")
    assert settings.process.env == ("A=1", "B=2")
    assert settings.python.import_ == ("x.py", "y.py")


def test_files_may_be_read_in_a_loop() -> None:
    files = {"a.ini": "[uwsgi]\nmode=a", "b.ini": "[uwsgi]\nchdir=b"}
    assert values(read_ini("for = a b\nini = %(_).ini\nendfor", files=files)) == {
        "for": "a b",
        "mode": "a",
        "chdir": "b",
        "endfor": "",
    }


def test_blocks_do_not_nest() -> None:
    assert errors(read_ini("if-env = HOME\nfor = a\nend", environ={"HOME": "1"})) == [
        "app.ini:3: 'for' inside 'if-env': blocks do not nest"
    ]


def test_blocks_work_on_the_command_line() -> None:
    loading = read_in(
        World(), "--if-env", "NOPE", "--set", "a=1", "--endif", "--set", "b=2"
    )
    assert values(loading)["b"] == "2"
    assert "a" not in values(loading)


def test_a_block_without_an_end_is_told() -> None:
    assert notes(read_ini("mode=1\nif-env = HOME")) == [
        "app.ini:3: 'if-env' has no end"
    ]


@pytest.mark.parametrize(
    ("directive", "message"),
    [
        ("for-readline = gone", "cannot read 'gone': No such file or directory"),
        ("for-times = many", "'many' is not a number of times"),
    ],
)
def test_a_block_that_cannot_be_judged_is_an_error(
    directive: str, message: str
) -> None:
    assert errors(read_ini(f"{directive}\nx=1\nend")) == [f"app.ini:2: {message}"]


def test_a_malformed_regular_expression_is_an_error() -> None:
    [error] = errors(read_ini("if-hostname-match = (\nmode=1\nend"))
    assert error.startswith("app.ini:2: malformed regular expression '('")


# -- lists of options, exit, print ---------------------------------------------------


def test_options_on_a_blacklist_are_refused() -> None:
    text = "blacklist = chdir mode\nchdir=/\nend-blacklist\nmode=1"
    assert errors(read_ini(text)) == [
        "app.ini:3: option 'chdir' is forbidden by a blacklist"
    ]


def test_options_off_a_whitelist_are_refused() -> None:
    text = "whitelist = chdir\nchdir=/\nmode=1\nend-whitelist\nmode=2"
    assert errors(read_ini(text)) == [
        "app.ini:4: option 'mode' is not on the whitelist"
    ]


def test_the_configuration_may_end_the_server() -> None:
    assert read_ini("exit = 5").exit_status == 5
    assert read_ini("exit").exit_status == 0
    assert read_ini("mode = 1").exit_status is None


def test_printed_texts_are_notes() -> None:
    found = read_ini("iprint = hello").configuration.notes
    assert [(note.topic, str(note)) for note in found] == [(Topic.PRINT, "hello")]


def test_a_lost_percent_sign_is_told() -> None:
    assert notes(read_ini("log-date = %Y")) == [
        "app.ini:2: '%Y' is no magic variable and becomes nothing;"
        " write '%%' for a percent sign"
    ]


def test_a_configuration_that_grows_without_end_is_stopped() -> None:
    text = "for-times = 999999\nenv = A=%(_)\nendfor"
    assert errors(read_ini(text)) == ["app.ini:3: the configuration never ends"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("resolve = x", "resolve: 'x' is not name=host"),
        ("declare-option = x", "declare-option: 'x' is not name=template"),
        ("inject-before = gone", "cannot read 'gone': No such file or directory"),
    ],
)
def test_directives_without_what_they_need_are_errors(line: str, message: str) -> None:
    assert errors(read_ini(line)) == [f"app.ini:2: {message}"]


def test_remarks_of_a_file_carry_their_place() -> None:
    world = World({"a.ini": "x = 1\n[uwsgi] ; mine\nmode = 1\n"})
    assert notes(read_in(world, "a.ini")) == [
        "a.ini:1: lines before the first [section] belong to none and are lost",
        "a.ini:2: text after the section header is left out: '; mine'",
    ]


def test_errors_of_a_file_carry_their_place() -> None:
    world = World({"a.json": '{"uwsgi": \n'})
    assert errors(read_in(world, "a.json")) == [
        "a.json:2: malformed JSON: Expecting value"
    ]

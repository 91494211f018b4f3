"""The JSON that uwsgitop and exporters read, and the text of Prometheus."""

from __future__ import annotations

import json
import re

import pytest

from geuwsgi.stats.model import (
    AppStats,
    CoreStats,
    InstanceStats,
    SocketStats,
    WorkerStats,
)
from geuwsgi.stats.prometheus import encode_metrics
from geuwsgi.stats.uwsgijson import encode_stats

# As uWSGI 2.0.31 wrote it (gevent 2, one request sleeping), white space removed.
OF_UWSGI = """
{"version":"2.0.31","listen_queue":0,"listen_queue_errors":0,"signal_queue":0,"load":0,
"pid":22814,"uid":0,"gid":0,"cwd":"/srv/site",
"daemons":[{"cmd":"sleep 100","pid":22819,"respawns":0}],
"locks":[{"user 0":0},{"signal":0}],
"caches":[{"name":"c","hash":"djb33x","hashsize":65536,"keysize":2048,"max_items":5,
"blocks":5,"blocksize":65536,"items":0,"hits":3,"miss":2,"full":0,"last_modified_at":0}],
"metrics":{"core.busy_workers":{"type":1,"oid":"5.3","value":0}},
"sockets":[{"name":"127.0.0.1:18101","proto":"http","queue":0,"max_queue":100,
"shared":0,"can_offload":0}],
"workers":[{"id":1,"pid":22817,"accepting":1,"requests":0,"delta_requests":0,
"exceptions":0,"harakiri_count":0,"signals":0,"signal_queue":0,"status":"busy","rss":0,
"vsz":0,"running_time":0,"last_spawn":1795473779,"respawn_count":1,"tx":0,"avg_rt":0,
"apps":[{"id":0,"modifier1":0,"mountpoint":"","startup_time":0,"requests":1,
"exceptions":0,"chdir":""}],
"cores":[{"id":0,"requests":0,"static_requests":0,"routed_requests":0,
"offloaded_requests":0,"write_errors":0,"read_errors":0,"in_request":0,"vars":[],
"req_info":{}},
{"id":1,"requests":0,"static_requests":0,"routed_requests":0,"offloaded_requests":0,
"write_errors":0,"read_errors":0,"in_request":1,"vars":["REQUEST_METHOD=GET",
"PATH_INFO=/sleep",""],"req_info":{"request_start":1795473780}}]}],
"spoolers":[{"dir":"/srv/site/spool","pid":22816,"tasks":0,"respawns":0,"running":0}],
"crons":[{"minute":-1,"hour":-1,"day":-1,"month":-1,"week":-1,"command":"true",
"unique":0,"legion":"","pid":-1,"started_at":0}]}
"""


@pytest.fixture
def stats() -> InstanceStats:
    of_uwsgi = json.loads(OF_UWSGI)
    return InstanceStats(
        version="2.0.31",
        pid=22814,
        uid=0,
        gid=0,
        cwd="/srv/site",
        sockets=[SocketStats("127.0.0.1:18101", "http", max_queue=100)],
        workers=[
            WorkerStats(
                1,
                pid=22817,
                accepting=1,
                status="busy",
                last_spawn=1795473779,
                respawn_count=1,
                apps=[AppStats(0, requests=1)],
                cores=[
                    CoreStats(0),
                    CoreStats(
                        1,
                        vars=("REQUEST_METHOD=GET", "PATH_INFO=/sleep"),
                        started=1795473780,
                    ),
                ],
                core_count=2,
            )
        ],
        locks=[{"user 0": 0}, {"signal": 0}],
        sections={
            name: of_uwsgi[name]
            for name in ("daemons", "caches", "metrics", "spoolers", "crons")
        },
    )


def test_the_json_is_that_of_uwsgi_key_by_key_and_in_its_order(
    stats: InstanceStats,
) -> None:
    expected = json.dumps(json.loads(OF_UWSGI), separators=(",", ":"))
    assert encode_stats(stats, minified=True).decode() == expected


def test_it_is_indented_with_tabs_unless_minified(stats: InstanceStats) -> None:
    text = encode_stats(stats).decode()
    assert text.startswith('{\n\t"version":"2.0.31",\n\t"listen_queue":0,\n')
    assert json.loads(text) == json.loads(OF_UWSGI)


def test_cores_and_metrics_may_be_left_out(stats: InstanceStats) -> None:
    tree = json.loads(encode_stats(stats, with_cores=False, with_metrics=False))
    assert "metrics" not in tree
    assert "cores" not in tree["workers"][0]


def test_what_is_not_configured_is_not_there(stats: InstanceStats) -> None:
    stats.sections = {}
    assert list(json.loads(encode_stats(stats))) == [
        "version",
        "listen_queue",
        "listen_queue_errors",
        "signal_queue",
        "load",
        "pid",
        "uid",
        "gid",
        "cwd",
        "locks",
        "sockets",
        "workers",
    ]


def test_the_listen_queue_is_that_of_all_sockets(stats: InstanceStats) -> None:
    stats.sockets = [SocketStats("a", "http", 3), SocketStats("b", "uwsgi", 4)]
    tree = json.loads(encode_stats(stats))
    assert (tree["listen_queue"], tree["load"]) == (7, 7)


# name{labels} value, with the quoting of label values.
SAMPLE = re.compile(
    r'([a-z_:][a-z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? ([0-9.e+-]+)'
)


def samples(stats: InstanceStats, *, with_cores: bool = False) -> dict[str, float]:
    found: dict[str, float] = {}
    types: dict[str, str] = {}
    for line in encode_metrics(stats, with_cores=with_cores).decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in types  # a family stands together
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] in types
            assert types[match[1]] == (
                "counter" if match[1].endswith("_total") else types[match[1]]
            )
            found[line.rpartition(" ")[0]] = float(match[3])
    return found


def test_the_names_are_those_of_uwsgi_exporter(stats: InstanceStats) -> None:
    worker = stats.workers[0]
    worker.running_time = 1_500_000
    worker.avg_rt = 2500
    worker.tx = 123456789012
    found = samples(stats)
    expected = {
        "uwsgi_up": 1,
        "uwsgi_listen_queue_length": 0,
        "uwsgi_listen_queue_errors": 0,
        "uwsgi_signal_queue_length": 0,
        "uwsgi_workers": 1,
        'uwsgi_socket_queue_length{name="127.0.0.1:18101",proto="http"}': 0,
        'uwsgi_socket_max_queue_length{name="127.0.0.1:18101",proto="http"}': 100,
        'uwsgi_socket_shared{name="127.0.0.1:18101",proto="http"}': 0,
        'uwsgi_socket_can_offload{name="127.0.0.1:18101",proto="http"}': 0,
        'uwsgi_worker_accepting{worker_id="1"}': 1,
        'uwsgi_worker_delta_requests{worker_id="1"}': 0,
        'uwsgi_worker_signal_queue_length{worker_id="1"}': 0,
        'uwsgi_worker_rss_bytes{worker_id="1"}': 0,
        'uwsgi_worker_vsz_bytes{worker_id="1"}': 0,
        'uwsgi_worker_running_time_seconds{worker_id="1"}': 1.5,
        'uwsgi_worker_last_spawn_time_seconds{worker_id="1"}': 1795473779,
        'uwsgi_worker_average_response_time_seconds{worker_id="1"}': 0.0025,
        'uwsgi_worker_requests_total{worker_id="1"}': 0,
        'uwsgi_worker_exceptions_total{worker_id="1"}': 0,
        'uwsgi_worker_harakiri_count_total{worker_id="1"}': 0,
        'uwsgi_worker_signals_total{worker_id="1"}': 0,
        'uwsgi_worker_respawn_count_total{worker_id="1"}': 1,
        'uwsgi_worker_transmitted_bytes_total{worker_id="1"}': 123456789012,
        'uwsgi_worker_apps{worker_id="1"}': 1,
        'uwsgi_worker_cores{worker_id="1"}': 2,
        'uwsgi_worker_busy{worker_id="1"}': 1,
        'uwsgi_worker_idle{worker_id="1"}': 0,
        'uwsgi_worker_cheap{worker_id="1"}': 0,
        'uwsgi_cache_hits{name="c"}': 3,
        'uwsgi_cache_misses{name="c"}': 2,
        'uwsgi_cache_full{name="c"}': 0,
        'uwsgi_cache_items{name="c"}': 0,
        'uwsgi_cache_max_items{name="c"}': 5,
    }
    app = '{worker_id="1",app_id="0",mountpoint="",chdir=""}'
    expected |= {
        f"uwsgi_worker_app_startup_time_seconds{app}": 0,
        f"uwsgi_worker_app_requests_total{app}": 1,
        f"uwsgi_worker_app_exceptions_total{app}": 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert all(name.startswith("geuwsgi_") for name in found.keys() - expected.keys())


def test_cores_are_told_on_demand(stats: InstanceStats) -> None:
    found = samples(stats, with_cores=True)
    assert found['uwsgi_worker_core_busy{worker_id="1",core_id="1"}'] == 1
    assert found['uwsgi_worker_core_requests_total{worker_id="1",core_id="0"}'] == 0
    assert not any("worker_core_" in name for name in samples(stats))


def test_label_values_are_escaped(stats: InstanceStats) -> None:
    stats.sockets = [SocketStats('a"b\\c\nd', "http", 1)]
    assert samples(stats)[
        'uwsgi_socket_queue_length{name="a\\"b\\\\c\\nd",proto="http"}'
    ]


def test_two_sockets_of_one_name_are_one_sample(stats: InstanceStats) -> None:
    stats.sockets = [SocketStats("a", "http", 1), SocketStats("a", "http", 2)]
    assert samples(stats)['uwsgi_socket_queue_length{name="a",proto="http"}'] == 1

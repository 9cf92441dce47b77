from __future__ import annotations

from pathlib import Path

from loadtests.profiling.layers import LAYERS, OTHER, innermost, layer_of, summed

MAIN = "serve (gateway/cli.py:115);run (asyncio/runners.py:118)"


def test_a_sample_belongs_to_the_innermost_room_that_is_known() -> None:
    assert layer_of(f"{MAIN};around (gateway/web/middleware.py:115);found (gateway/web/qido.py:31);split (re/x.py:206)") == "services"
    assert layer_of(f"{MAIN};around (gateway/web/middleware.py:115)") == "around each request"
    assert layer_of(f"{MAIN};search (gateway/web/qido.py:31);inc (prometheus_client/values.py:28)") == "metrics"
    assert layer_of(MAIN) == "event loop"
    assert layer_of("<module> (gateway/__main__.py:9);_run_code (<frozen runpy>:88)") == OTHER


def test_threads_that_wait_for_work_are_not_counted() -> None:
    lines = [
        "run (threading.py:982);_worker (concurrent/futures/thread.py:81) 4658",
        "run (threading.py:982);Threads._rest (gateway/backends/local/threads.py:125) 10",
        f"{MAIN};start (aiohttp/web_protocol.py:666) 3",
        f"{MAIN};start (aiohttp/web_protocol.py:684) 4",
        "",
        "no count",
    ]
    assert summed(lines) == {"aiohttp": 7}
    assert innermost(lines, 5) == [("start (aiohttp/web_protocol.py)", 7)]


def test_the_table_names_files_that_are_there() -> None:
    root = Path(__file__).parents[3]
    ours = [begin for begin, _ in LAYERS if begin.startswith("gateway/")]
    assert ours and all((root / begin).exists() for begin in ours)

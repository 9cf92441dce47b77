"""What leaves the process as a log line, and what does not."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from gateway import logs
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError, NotFound

PATIENT = "Müller^Käthe"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The logging of the test run itself is put back."""
    before = logging.root.handlers[:], logging.root.level, warnings.showwarning, threading.excepthook
    yield
    logs.close()
    logging.root.handlers[:], logging.root.level = before[:2]
    warnings.showwarning, threading.excepthook = before[2:]
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def read() -> Callable[[], str]:
    """Ends logging and returns what was written since the test began."""
    reader, writer = os.pipe()
    logs.configure("info", "json", fd=writer)

    def collect() -> str:
        logs.close()
        os.close(writer)
        with os.fdopen(reader, encoding="utf-8") as file:
            return file.read()

    return collect


@pytest.fixture
def lines(read: Callable[[], str]) -> Lines:
    return lambda: [json.loads(line) for line in read().splitlines()]


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_a_line_is_an_object_with_time_level_and_event(lines: Lines) -> None:
    logs.get_logger().info("request", method="GET", status=200, seconds=0.5, study="1.2.3")
    [line] = lines()
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "event": "request", "method": "GET", "status": 200, "seconds": 0.5, "study": "1.2.3"}


def test_keys_that_are_not_listed_are_withheld_and_named(read: Callable[[], str]) -> None:
    logs.get_logger().info("request", PatientName=PATIENT, status=200)
    text = read()
    assert PATIENT not in text
    assert json.loads(text)["withheld"] == ["PatientName"]


def test_values_that_are_not_plain_are_withheld(lines: Lines) -> None:
    logs.get_logger().info("request", reason={"name": PATIENT}, path=object(), part=[1, "2"], tag=[{}])
    [line] = lines()
    assert line["withheld"] == ["reason", "path", "tag"]
    assert line["part"] == [1, "2"]


def test_long_values_are_cut(lines: Lines) -> None:
    logs.get_logger().info("request", route="x" * 10_000)
    assert len(lines()[0]["route"]) == 500


def test_context_variables_are_on_every_line(lines: Lines) -> None:
    structlog.contextvars.bind_contextvars(request_id="r1", PatientID=PATIENT)
    logs.get_logger().info("one")
    assert [(line["request_id"], line["withheld"]) for line in lines()] == [("r1", ["PatientID"])]


def test_an_exception_is_its_type_and_place_and_cause_but_not_its_words(read: Callable[[], str]) -> None:
    logs.get_logger().error("failed", exc_info=raised(ValueError(PATIENT), KeyError(PATIENT)))
    text = read()
    assert PATIENT not in text
    line = json.loads(text)
    assert (line["error"], line["because"]) == ("ValueError", "KeyError")
    assert "tests/test_logs.py:" in line["at"][0]
    assert line["at"][0].endswith(" raised")


def test_our_own_errors_give_their_reason(lines: Lines) -> None:
    log = logs.get_logger()
    log.error("failed", exc_info=raised(NotFound("there is no such store")))
    log.error("failed", exc_info=raised(InstanceError(Reason.CANNOT_UNDERSTAND, "cut off", 0x00080018)))
    log.error("failed", exc_info=raised(FileNotFoundError(2, "No such file or directory", PATIENT)))
    assert [line["reason"] for line in lines()] == ["there is no such store", "(0008,0018): cut off", "No such file or directory"]


def test_an_exception_in_hand_is_found(lines: Lines) -> None:
    try:
        raise ValueError(PATIENT)
    except ValueError:
        logs.get_logger().exception("failed")
    assert lines()[0]["error"] == "ValueError"


def test_libraries_are_heard_without_what_they_quote(read: Callable[[], str]) -> None:
    library = logging.getLogger("some.library")
    library.warning("value %s is bad", PATIENT)
    library.error(f"value {PATIENT} is bad")
    library.info("not important")
    text = read()
    assert PATIENT not in text
    first, second = map(json.loads, text.splitlines())
    assert (first["level"], first["logger"], first["template"]) == ("warning", "some.library", "value %s is bad")
    assert (second["level"], second["template"]) == ("error", None)
    assert "tests/test_logs.py:" in second["at"]


def test_warnings_are_category_and_place(read: Callable[[], str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = logs._warned
        warnings.warn(f"Invalid value for VR PN: {PATIENT}", stacklevel=1)
    text = read()
    assert PATIENT not in text
    assert json.loads(text)["warning"] == "UserWarning"


def test_a_thread_that_fails_is_heard(read: Callable[[], str]) -> None:
    def fail() -> None:
        raise ValueError(PATIENT)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    text = read()
    assert PATIENT not in text
    assert json.loads(text)["error"] == "ValueError"


def test_the_event_loop_is_heard(lines: Lines) -> None:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(logs.on_loop_exception)
    loop.call_exception_handler({"message": PATIENT, "exception": ValueError(PATIENT), "task": object()})
    loop.close()
    [line] = lines()
    assert (line["about"], line["error"]) == ("task", "ValueError")


def test_levels_below_the_chosen_one_are_left_out(lines: Lines) -> None:
    logs.get_logger().debug("not this")
    logs.get_logger().warning("this")
    assert [line["event"] for line in lines()] == ["this"]


def test_the_console_form_is_one_printable_line(read: Callable[[], str]) -> None:
    logs._apply("info", "console")
    logs.get_logger().info("two\nlines \x1b[31m", path="a b\r\n", status=200, route="/studies")
    text = read()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert 'info    "two\\nlines \\u001b[31m"  path="a b\\r\\n"  status=200  route=/studies\n' in text


def test_a_logger_that_was_used_before_goes_where_the_others_go(lines: Lines) -> None:
    early = logs.get_logger()
    early.info("one")
    reader, writer = os.pipe()
    logs.configure("info", "json", fd=writer)
    early.info("two")
    logs.close()
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        assert json.loads(file.read())["event"] == "two"
    assert [line["event"] for line in lines()] == ["one"]


def test_without_configuration_lines_go_to_standard_error_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.close()
    logs.get_logger().warning("early", PatientName=PATIENT)
    text = capsys.readouterr().err
    assert json.loads(text)["event"] == "early"
    assert PATIENT not in text


def test_dropped_lines_are_told(lines: Lines) -> None:
    assert logs._writer
    logs._writer._room = 1
    for _ in range(5):
        logs.get_logger().info("one")
    assert sum(line.get("dropped", 0) for line in lines()) == 4


def test_the_line_of_a_request_is_like_any_other(lines: Lines) -> None:
    logs.line("request", route="/studies", status=200, PatientID=PATIENT)
    logs.get_logger().info("request", route="/studies", status=200, PatientID=PATIENT)
    quick, usual = lines()
    assert quick.pop("time") <= usual.pop("time")
    assert quick == usual == {"level": "info", "event": "request", "route": "/studies", "status": 200, "withheld": ["PatientID"]}


@pytest.mark.parametrize(("level", "written"), [("debug", 1), ("info", 1), ("warning", 0), ("error", 0)])
def test_the_line_of_a_request_is_written_at_level_info(level: str, written: int) -> None:
    reader, writer = os.pipe()
    logs.configure(level, "console", fd=writer)
    logs.line("request", status=200)
    logs.close()
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        assert file.read().count("request  status=200") == written

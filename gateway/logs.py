"""Log lines: JSON objects on standard error that never hold up a request and never hold a patient.

Rules:
1. Only the keys of `ALLOWED` leave, with plain values. Others are withheld and their names written instead, so that a
   forgotten key is noticed and nothing leaks.
2. What others say is not trusted: an exception is written as its type and places in the code. Only messages of our own
   errors go out in full (errors.py keeps values out of them). Libraries' log lines are written as their unformatted
   template, warnings as category and place.
3. A line is put into a bounded queue and written by a thread. When the reader of the log is too slow, lines are dropped
   and counted, and the next line that gets through says how many.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from gateway.errors import GatewayError, InstanceError
from gateway.logwriter import Writer

ALLOWED = frozenset(
    """
    about at because dropped error event failed format host instance instances kind length level limit logger matches messages method name
    offset part parts path peer pid port problems ready reason received receiver remaining request_id requests restart route seconds sent
    series setting signal slot sop sop_class status store stored study tag template time too_many too_slow transaction transfer_syntax url
    version warning workers writable
    """.split()
)

_LONGEST = 500
"""Characters of a text value: enough for a sentence, too little for a body."""
_FRAMES = 12
"""Places in the code that are written of an exception, the innermost ones."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Form = Literal["json", "console"]
_Event = MutableMapping[str, Any]
_SCALARS = (int, float, bool, type(None))


def configure(level: str = "info", form: Form = "json", *, fd: int = 2, on_drop: Callable[[], None] | None = None) -> None:
    """Sends the lines of the whole process, libraries included, through one queue to `fd`.

    :param level: debug, info, warning or error. Loggers that were used before keep their old one.
    :param on_drop: called for each line that is dropped.
    """
    global _writer
    close()
    _writer = Writer(fd, on_drop=on_drop, report=lambda count: _finished("warning", event="log lines dropped", dropped=count))
    _SINK.put = _writer.put
    _apply(level, form)
    logging.root.handlers[:] = [_Library()]
    logging.root.setLevel(logging.WARNING)
    warnings.showwarning = _warned
    threading.excepthook = _thread_failed


def close(timeout: float = 1.0) -> None:
    """Writes what is queued, for at most `timeout` seconds; later lines are written at once."""
    global _writer
    if _writer is not None:
        _writer.close(timeout)
        _writer = None
        _SINK.put = _write_now
        _apply("info", "json")


def get_logger() -> FilteringBoundLogger:
    """A logger; ``log.info("event", key=value)``. Context variables of structlog are added to each line."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def line(event: str, /, **values: Any) -> None:
    """As ``get_logger().info(event, ...)`` without exceptions and context variables, in half the time: each request has one."""
    if _least <= logging.INFO:
        _SINK.put(_finished("info", **_allow(None, "info", {"event": event, **values})))


def on_loop_exception(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """What an event loop does with errors that nobody caught (see `loop.set_exception_handler`)."""
    about = " ".join(sorted(context.keys() - {"message", "exception"}))
    get_logger().error("unhandled exception in the event loop", about=about, exc_info=context.get("exception"))


_writer: Writer | None = None
_least = logging.INFO


class _Sink:
    """What structlog hands finished lines to; the same one for ever, since loggers keep it."""

    put: Callable[[bytes], None]

    def msg(self, line: bytes) -> None:
        self.put(line)

    debug = info = warning = error = critical = msg


def _write_now(line: bytes) -> None:
    sys.stderr.write(line.decode())


_SINK = _Sink()
_SINK.put = _write_now


def _apply(level: str, form: Form) -> None:
    global _least
    _least = _LEVELS[level]
    _CHAIN[:] = [structlog.contextvars.merge_contextvars, _exception, _allow, _stamp, _RENDER[form]]
    structlog.configure(
        processors=_CHAIN,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _SINK,
        cache_logger_on_first_use=True,  # a third of the cost of a line
    )


def _exception(_: object, __: str, event: _Event) -> _Event:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event.update(describe(error))
    return event


def describe(error: BaseException) -> dict[str, Any]:
    """An exception without what it quotes: type, innermost places, cause; the reason where the error is our own."""
    facts: dict[str, Any] = {"error": type(error).__name__, "at": _places(error)}
    if isinstance(error, GatewayError | InstanceError):
        facts["reason"] = error.message
    if isinstance(error, OSError) and error.strerror:
        facts["reason"] = error.strerror
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return facts | ({"because": type(cause).__name__} if cause else {})


def _places(error: BaseException) -> list[str]:
    # Not extract_tb: it reads the source files of all frames, and this runs on the event loop.
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)][-_FRAMES:]
    return [f"{_short(code.co_filename)}:{line} {code.co_name}" for code, line in reversed(frames)]


def _short(filename: str) -> str:
    return "/".join(PurePath(filename).parts[-2:])


def _allow(_: object, __: str, event: _Event) -> _Event:
    """Keeps what may leave. One loop without calls: it runs for every request."""
    plain: dict[str, Any] = {}
    withheld: list[str] = []
    for key, value in event.items():
        if key not in ALLOWED:
            withheld.append(key)
        elif (kind := type(value)) in _SCALARS:
            plain[key] = value
        elif isinstance(value, str):
            plain[key] = value if len(value) <= _LONGEST else value[:_LONGEST]
        elif kind in (list, tuple) and all(isinstance(item, str | int) for item in value):
            plain[key] = value
        else:
            withheld.append(key)
    if withheld:
        plain["withheld"] = withheld
    return plain


def _stamp(_: object, level: str, event: _Event) -> _Event:
    return {"time": datetime.now(UTC), "level": level, "event": event.pop("event"), **event}


def _json(_: object, __: str, event: _Event) -> bytes:
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)


def _console(_: object, __: str, event: _Event) -> bytes:
    moment, level, what = (event.pop(key) for key in ("time", "level", "event"))
    rest = "".join(f"  {key}={_word(value)}" for key, value in event.items())
    return f"{moment.astimezone():%H:%M:%S} {level:<7} {_printable(str(what))}{rest}\n".encode()


def _word(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() and " " not in value else orjson.dumps(value).decode()


def _printable(text: str) -> str:
    return text if text.isprintable() else orjson.dumps(text).decode()


_RENDER: dict[Form, Processor] = {"json": _json, "console": _console}
_CHAIN: list[Processor] = []


def _finished(level: str, **values: Any) -> bytes:
    """A line that no logger made."""
    return cast(bytes, _CHAIN[-1](None, level, _stamp(None, level, values)))


class _Library(logging.Handler):
    """Takes the lines of libraries that use `logging`."""

    def emit(self, record: logging.LogRecord) -> None:
        # Without arguments the text may be formatted already and quote anything.
        template = str(record.msg) if record.args else None
        level = max(level for level in (*_LEVELS.values(), logging.DEBUG) if level <= record.levelno)
        place = f"{_short(record.pathname)}:{record.lineno}"
        get_logger().log(level, "library message", logger=record.name, template=template, at=place, exc_info=record.exc_info)


def _warned(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    get_logger().warning("library warning", warning=category.__name__, at=f"{_short(filename)}:{lineno}")


def _thread_failed(args: threading.ExceptHookArgs) -> None:
    get_logger().error("unhandled exception in a thread", exc_info=args.exc_value)


_apply("info", "json")

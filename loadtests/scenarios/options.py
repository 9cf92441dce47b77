"""The command line, beside locust's own. Options travel to locust's worker processes, so all of them are plain values.

`locust --help` speaks before it has read any locustfile, and so never of these: `python -m loadtests.locustfile` does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from urllib.parse import urlsplit

from loadtests.scenarios.tokens import Token
from loadtests.synthetic import SIZES, Shape

WORKER_NUMBERS = 1_000_000
"""Studies that each locust worker process may number, so that no two store the same one."""

PAUSE = 1.0
"""Seconds between two studies of a Modality, and between two days of an Archive: without it a disk is full in minutes."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Adds a group of ours to locust's options."""
    group = parser.add_argument_group(
        "DICOMweb", "Users to choose from: Modality, Viewer, Archive, HospitalDay; without any: Modality and Viewer"
    )
    _of_studies(group)
    _of_users(group)
    _of_servers(group)


def explain(text: str) -> str:
    """A page about everything that is ours: `text`, and the options."""
    parser = argparse.ArgumentParser(
        "locust -f loadtests/locustfile.py",
        usage="%(prog)s [options of locust] [options below] [users]",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    add_to(parser)
    return parser.format_help()


def _of_studies(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--slices", type=whole(1, 99_999), default=20, help="instances in a study (20)")
    add("--size", type=size, default="ct", help=f"{', '.join(SIZES)}, or ROWSxCOLUMNS[xFRAMES] of 16 bits (ct: 512x512)")
    add("--seed", type=whole(-1, 10**10 - 1), default=-1, help="number of the run: the same makes the same studies (-1: random)")
    stored = "studies 0 to N-1 of this --seed, --slices and --size are stored already (0)"
    add("--stored", type=whole(0, WORKER_NUMBERS), default=0, help=stored)


def _of_users(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--per-request", type=whole(1, 99_999), default=10, help="instances in a store request (10)")
    pause = "seconds between two studies of a Modality or two days of an Archive (1); 0 can fill a disk in minutes"
    add("--pause", type=seconds, default=PAUSE, help=pause)
    day = "users come and go as over a day, compressed to --run-time (10 minutes); --users are there at the morning's peak"
    add("--day", action="store_true", help=f"{day}. HospitalDay implies it")


def _of_servers(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    opens = "file with the bearer token of --host, read again when it changes; without it, the environment's DICOMWEB_TOKEN"
    add("--token-file", type=token_file, default="", help=opens)
    add("--to", type=base_url, default="", help="base URL of a second server: an Archive stores there what it retrieved")
    add("--to-token-file", type=token_file, default="", help="file with the bearer token of --to, which gets no other")
    add("--to-share", type=share, default=0.5, help="share of the studies that an Archive stores there, 0 to 1 (0.5)")


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A whole number from one to the other."""

    def convert(text: str) -> int:
        if not lowest <= (number := int(text)) <= highest:
            raise argparse.ArgumentTypeError(f"{lowest} to {highest}")
        return number

    convert.__name__ = "whole number"  # how argparse calls it when int() fails
    return convert


def seconds(text: str) -> float:
    """A duration, 0 or more."""
    return _number(text, 86_400)


def share(text: str) -> float:
    """A share of all, 0 to 1."""
    return _number(text, 1)


def _number(text: str, highest: float) -> float:
    if not 0 <= (number := float(text)) <= highest:  # neither is NaN
        raise argparse.ArgumentTypeError(f"0 to {highest:g}")
    return number


def size(text: str) -> str:
    """The name or the sides of a `Shape`."""
    try:
        Shape.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def token_file(text: str) -> str:
    """The name of a file that holds one token."""
    try:
        Token(text).headers()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def base_url(text: str) -> str:
    """Scheme, host and path of a DICOMweb service, without the slash at its end."""
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        raise argparse.ArgumentTypeError("a base URL is like https://host:8042/dicom-web")
    return text.rstrip("/")

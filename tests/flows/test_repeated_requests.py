"""Requests in the same bytes, again and again, while others write: never a stale answer, from whichever worker."""

from __future__ import annotations

import http.client
import json
import re
import urllib.request
from collections.abc import Iterator

import pytest

from tests.backends.made import dicom
from tests.running import Gateway, running

ROUNDS = 40
SEARCH, METADATA = "/dicom-web/instances", "/dicom-web/studies/1.1/metadata"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("repeated"), "--workers", "2") as started:
        yield started


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection.request(method, path, body, {} if body is None else {"Content-Type": "application/dicom"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def count(answer: tuple[int, bytes]) -> int:
    return len(json.loads(answer[1])) if answer[0] == 200 else 0


def test_what_was_written_is_seen_by_the_next_request_of_anybody(gateway: Gateway) -> None:
    readers = [http.client.HTTPConnection("127.0.0.1", gateway.port) for _ in range(6)]  # the kernel gives them to both workers
    writer = http.client.HTTPConnection("127.0.0.1", gateway.port)
    for number in range(1, ROUNDS + 1):
        name = f"1.1.1.{number + number % 2}"
        if number % 2:
            assert ask(writer, "POST", "/dicom-web/studies", dicom(sop=name))[0] == 200
        else:
            assert ask(writer, "DELETE", f"/dicom-web/studies/1.1/series/1.1.1/instances/{name}")[0] == 204
        for reader in readers:
            for _ in range(3):
                assert (count(ask(reader, "GET", SEARCH)), count(ask(reader, "GET", METADATA))) == (number % 2, number % 2)
    for connection in (*readers, writer):
        connection.close()


def test_each_of_them_is_counted_once(gateway: Gateway) -> None:
    with urllib.request.urlopen(gateway.root + "/metrics") as page:
        found = re.findall(r'gateway_requests_total\{status="(\d+)",transaction="(search|metadata)"\} (\S+)', page.read().decode())
    asked = sum(float(number) for _, _, number in found)
    assert asked == 2 * 6 * 3 * ROUNDS

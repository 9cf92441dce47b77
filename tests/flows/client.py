"""A plain blocking client: what a modality and an auditor do, in as few lines as possible."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Sequence
from urllib.parse import urlsplit

BOUNDARY = "parts"


class Client:
    """One connection to one store; opened again when the server has gone."""

    def __init__(self, url: str, timeout: float = 60) -> None:
        self._url = urlsplit(url)
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=self._timeout)
        try:
            self._connection.request(method, self._url.path + path, body, headers or {})
            response = self._connection.getresponse()
            return response.status, response.read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def store(self, files: Sequence[bytes]) -> tuple[int, list[str]]:
        """Status, and the SOP Instance UIDs that the answer calls stored."""
        parts = [f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file for file in files]
        body = b"".join([*parts, f"\r\n--{BOUNDARY}--\r\n".encode()])
        content_type = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        status, answer = self.request("POST", "/studies", body, {"Content-Type": content_type})
        items = json.loads(answer).get("00081199", {}).get("Value", []) if status in (200, 202) else []
        return status, [item["00081155"]["Value"][0] for item in items]

    def instance(self, study: str, series: str, sop: str) -> tuple[int, bytes]:
        path = f"/studies/{study}/series/{series}/instances/{sop}"
        return self.request("GET", path, headers={"Accept": "application/dicom; transfer-syntax=*"})

    def found(self, path: str) -> list[dict[str, dict[str, list[str]]]]:
        status, answer = self.request("GET", path)
        assert status in (200, 204), (status, answer)
        return json.loads(answer) if status == 200 else []


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

"""A gateway that is killed while it imports, and while it exports: whoever starts next ends what was begun, truthfully."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.backends.made import dicom
from tests.running import Gateway
from tests.transfers.given import files

STORE = "/v1/projects/local/locations/local/datasets/default/dicomStores/default"
COUNT = 600
KILLED_AT = 150
"""Instances after which it is killed: behind the first groups, and long before the last."""


def instance(number: int) -> bytes:
    return dicom("1.2", f"1.2.{number % 3}", f"1.2.{number % 3}.{number}", InstanceNumber=str(number))


def asked(gateway: Gateway, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(gateway.root + path, data), timeout=60) as answer:
        return json.loads(answer.read())


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def survived(gateway: Gateway, method: str, body: dict[str, Any], far: Callable[[], bool]) -> dict[str, Any]:
    """Begins an operation, kills the gateway when it is so far, and starts it anew; how the operation ended."""
    name = asked(gateway, f"{STORE}:{method}", body)["name"]
    until(far)
    gateway.kill()
    gateway.start()
    until(lambda: "done" in asked(gateway, f"/v1/{name}"))
    ended: dict[str, Any] = asked(gateway, f"/v1/{name}")
    return ended


def test_what_was_begun_is_done_by_the_next_process_and_nothing_is_lost(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    expected = {number: instance(number) for number in range(COUNT)}
    for number, data in expected.items():
        (source / f"{number:05}.dcm").write_bytes(data)
    (source / "00100x.dcm").write_bytes(b"no instance" * 50)
    environment = {"GATEWAY_HEALTHCARE__FOLDERS": json.dumps([str(source), str(out)])}
    gateway = Gateway(tmp_path, "--workers", "1", environment=environment)
    gateway.start()
    try:

        def stored() -> int:
            return int(asked(gateway, f"{STORE}:getDICOMStoreMetrics").get("instanceCount", 0))

        ended = survived(gateway, "import", {"gcsSource": {"uri": f"file://{source}/**.dcm"}}, lambda: stored() >= KILLED_AT)
        assert ended["metadata"]["counter"] == {"success": str(COUNT), "failure": "1"}
        assert ended["error"]["code"] == 3 and "/00100x.dcm: " in ended["error"]["message"]
        assert stored() == COUNT
        far = lambda: sum(1 for _ in out.rglob("*.dcm")) >= KILLED_AT  # noqa: E731 - a name would say no more
        ended = survived(gateway, "export", {"gcsDestination": {"uriPrefix": f"file://{out}"}}, far)
        assert ended["metadata"]["counter"] == {"success": str(COUNT)} and "error" not in ended
        assert files(out) == {f"1.2/1.2.{number % 3}/1.2.{number % 3}.{number}.dcm": data for number, data in expected.items()}
        assert "00100x" not in gateway.log.read_text()  # names of files may be those of patients
    finally:
        gateway.stop()

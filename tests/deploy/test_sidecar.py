"""The Kubernetes manifest: valid to the letter, and what it says fits what the gateway does."""

from __future__ import annotations

import tomllib
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.config import Settings
from gateway.web.routes import SERVICE_ROUTES
from tests.deploy import DEPLOY

DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "k8s" / "sidecar.yaml").read_text()))


def of_kind(kind: str) -> dict[str, Any]:
    return next(document for document in DOCUMENTS if document["kind"] == kind)


POD = of_kind("StatefulSet")["spec"]["template"]["spec"]
CONTAINERS = {container["name"]: container for container in POD["containers"]}
GATEWAY = CONTAINERS["gateway"]
SETTINGS = Settings(**tomllib.loads(of_kind("ConfigMap")["data"]["gateway.toml"]))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document["kind"]))
def test_it_is_what_kubernetes_expects(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.30", strict=True)


def test_the_judge_finds_what_is_wrong() -> None:
    wrong = of_kind("Service") | {"spce": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.30", strict=True)


def test_the_gateway_is_in_front_of_the_pacs_and_nobody_else_gets_there() -> None:
    store = SETTINGS.stores["default"]
    assert store.backend == "upstream" and str(store.url).startswith("http://127.0.0.1:")
    assert "ports" not in CONTAINERS["pacs"]
    assert {"name": "ORTHANC__REMOTE_ACCESS_ALLOWED", "value": "false"} in CONTAINERS["pacs"]["env"]
    assert SETTINGS.server.token_file is not None and not SETTINGS.server.allow_anonymous


def test_probes_ask_routes_that_need_no_token() -> None:
    open_routes = {route.path for route in SERVICE_ROUTES if route.transaction == "health"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert GATEWAY[probe]["httpGet"]["path"] in open_routes
        assert GATEWAY[probe]["httpGet"]["port"] == GATEWAY["ports"][0]["name"]
    assert GATEWAY["ports"][0]["containerPort"] == SETTINGS.server.port
    assert GATEWAY["livenessProbe"]["httpGet"]["path"] == "/healthz", "an origin that is down is no reason to be restarted"


def test_uploads_are_finished_before_the_pod_goes() -> None:
    pre_stop = int(GATEWAY["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] > pre_stop + SETTINGS.server.drain_delay + SETTINGS.server.drain_timeout


def test_it_runs_with_as_little_as_it_needs() -> None:
    assert POD["securityContext"]["runAsNonRoot"] and not POD["automountServiceAccountToken"]
    assert GATEWAY["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert GATEWAY["resources"]["limits"].keys() == {"cpu", "memory"}
    mounted = {mount["mountPath"] for mount in GATEWAY["volumeMounts"]}
    writable = {str(SETTINGS.data), "/tmp"}  # noqa: S108 - a volume of the pod
    assert writable <= mounted
    assert any(str(SETTINGS.server.token_file).startswith(f"{path}/") for path in mounted)


def test_every_volume_that_is_mounted_is_there() -> None:
    claims = {claim["metadata"]["name"] for claim in of_kind("StatefulSet")["spec"]["volumeClaimTemplates"]}
    volumes = {volume["name"] for volume in POD["volumes"]} | claims
    assert {mount["name"] for container in POD["containers"] for mount in container["volumeMounts"]} <= volumes

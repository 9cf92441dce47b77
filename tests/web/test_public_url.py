"""Scheme, host and prefix that a client sees, and who may say so."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from gateway.app import build
from gateway.config import load
from gateway.web.public_url import public_root
from tests.backends.made import dicom

PROXY = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def _request(headers: dict[str, str], peer: str = "10.1.2.3", sockname: Any = ("127.0.0.1", 8080)) -> Any:
    transport = Mock()
    transport.get_extra_info = {"sockname": sockname, "peername": (peer, 5000), "sslcontext": None}.get
    return make_mocked_request("GET", "/", headers={"Host": "gateway:8080"} | headers, transport=transport)


def _root(headers: dict[str, str], **facts: Any) -> str:
    return public_root(_request(headers, **facts), None, PROXY)


def test_what_is_configured_counts_whatever_the_request_says() -> None:
    request = _request({"Host": "evil", "Forwarded": "host=evil"})
    assert public_root(request, "https://pacs.example/imaging", PROXY) == "https://pacs.example/imaging"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "http://gateway:8080"),
        ({"Forwarded": "for=1.2.3.4;proto=https;host=pacs.example"}, "https://pacs.example"),
        ({"Forwarded": 'FOR="[2001:db8::1]";Host="pacs.example:8443";Proto=HTTPS, for=10.0.0.1;host=inner'}, "https://pacs.example:8443"),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pacs.example"}, "https://pacs.example"),
        ({"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "pacs.example, inner"}, "https://pacs.example"),
        ({"X-Forwarded-Host": "pacs.example", "X-Forwarded-Port": "8443"}, "http://pacs.example:8443"),
        ({"X-Forwarded-Host": "[2001:db8::1]", "X-Forwarded-Port": "8443"}, "http://[2001:db8::1]:8443"),
        ({"X-Forwarded-Host": "pacs.example:1", "X-Forwarded-Port": "8443"}, "http://pacs.example:1"),
        ({"X-Forwarded-Host": "pacs.example", "X-Forwarded-Prefix": "/imaging/"}, "http://pacs.example/imaging"),
        ({"X-Forwarded-Proto": "https"}, "https://gateway:8080"),
        ({"Forwarded": "proto=https", "X-Forwarded-Host": "other"}, "https://gateway:8080"),
    ],
)
def test_what_a_trusted_proxy_says(headers: dict[str, str], expected: str) -> None:
    assert _root(headers) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {"Forwarded": "host=evil.example/path"},
        {"Forwarded": 'host="a b"'},
        {"X-Forwarded-Host": 'evil"><script>'},
        {"X-Forwarded-Host": "user@evil"},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Prefix": "/a?b"},
        {"X-Forwarded-Prefix": "//evil"},
        {"Forwarded": "proto=gopher;host=evil"},
    ],
)
def test_what_could_not_stand_in_a_url_is_ignored(headers: dict[str, str]) -> None:
    assert _root(headers) == "http://gateway:8080"


@pytest.mark.parametrize("peer", ["192.168.1.1", "fe80::1%eth0", "not an address"])
def test_nobody_else_is_believed(peer: str) -> None:
    assert _root({"Forwarded": "host=evil;proto=https", "X-Forwarded-Host": "evil"}, peer=peer) == "http://gateway:8080"


def test_a_trusted_address_of_the_newer_protocol() -> None:
    assert _root({"Forwarded": "host=pacs.example"}, peer="fd00::7") == "http://pacs.example"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "127.0.0.1:8080"), ("localhost", "localhost:8080"), ("pacs", "pacs"), ("127.0.0.1:9", "127.0.0.1:9")],
)
def test_a_port_that_a_client_left_out_is_put_back_on_loopback_only(host: str, expected: str) -> None:
    assert _root({"Host": host}, peer="192.168.1.1") == f"http://{expected}"


@pytest.mark.parametrize(("sockname", "expected"), [(("10.0.0.9", 8080), "10.0.0.9:8080"), (("fd00::9", 8080, 0, 0), "[fd00::9]:8080")])
def test_without_a_usable_host_the_address_of_the_socket_counts(sockname: Any, expected: str) -> None:
    assert _root({"Host": "a b"}, sockname=sockname) == f"http://{expected}"


async def test_the_setting_reaches_the_answers(tmp_path: Path) -> None:
    settings = load(
        None, {"data": str(tmp_path), "server": {"trusted_proxies": ["127.0.0.0/8"]}, "stores": {"default": {"backend": "memory"}}}
    )
    async with TestClient(TestServer(await build(settings))) as client:
        headers = {"Content-Type": "application/dicom", "X-Forwarded-Host": "pacs.example", "X-Forwarded-Proto": "https"}
        async with client.post("/dicom-web/studies", data=dicom(), headers=headers) as answer:
            stored = await answer.json(content_type=None)
    assert stored["00081190"]["Value"] == ["https://pacs.example/dicom-web/studies/1.1"]

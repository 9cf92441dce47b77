"""What can be set of the service itself: where it listens, who may come in, what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, IPvAnyNetwork, field_validator, model_validator
from yarl import URL

from gateway.sections.base import Count, Seconds, Section


class Server(Section):
    """Where the gateway listens, who may come in, and how it goes down."""

    host: str = Field("127.0.0.1", min_length=1)
    """Address to listen on; beyond loopback needs token_file or allow_anonymous."""
    port: int = Field(8080, ge=0, le=65535)
    """TCP port; 0 takes a free one."""
    workers: int = Field(0, ge=0)
    """Processes that share the port; 0 is one per CPU that the cgroup grants, as far as memory allows."""
    loop: Literal["uvloop", "asyncio"] = "uvloop"
    """Event loop: uvloop stores and answers with less CPU time, asyncio sends large studies a little faster (loadtests/baseline.md)."""
    tls_certificate: Path | None = None
    """PEM file with the certificate chain; set together with tls_key to serve HTTPS. Renewed files are taken within seconds."""
    tls_key: Path | None = None
    """PEM file with the private key of tls_certificate."""
    token_file: Path | None = None
    """File with the bearer tokens that are let in, one a line: a file stays out of the process list, and is read again when it changes."""
    allow_anonymous: bool = False
    """Serve callers without credentials on addresses other than loopback; only behind something that checks them."""
    public_url: str | None = None
    """Scheme and host that clients see, for URLs in answers; without it the Host header counts."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Addresses or networks of reverse proxies whose Forwarded and X-Forwarded-* headers are believed for URLs in answers."""
    cors_origins: tuple[str, ...] = ()
    """Origins of browser viewers that may call ("https://viewer.example"; "*" lets all in)."""
    viewer: Path | None = None
    """Folder with a viewer for browsers, which is served at /viewer/; `make viewer` puts OHIF into data/viewer."""
    cache_control: str = "private, no-cache"
    """Cache-Control of what was found: patient data is for the caller's own cache only, which asks each time whether it is still so."""
    header_timeout: Seconds = Field(10, gt=0)
    """Seconds for a request line and its headers; longer is a slow-loris attack."""
    idle_timeout: Seconds = Field(75, gt=0)
    """Seconds that a connection may stay open without a request."""
    stall_timeout: Seconds = Field(30, gt=0)
    """Seconds without a byte inside a body, either way, before the connection is cut; of one that is sent here, with less than 16 KiB."""
    connections: Count = 2000
    """Open connections of a worker; more are closed at once, so that file descriptors last."""
    drain_delay: Seconds = 0
    """Seconds between reporting not ready and closing the port; give a load balancer time to notice."""
    drain_timeout: Seconds = 300
    """Seconds that requests in flight get to finish after SIGTERM; a large upload is worth waiting for."""

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, text: str | None) -> str | None:
        if text is None:
            return None
        url = URL(text)
        if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string or url.fragment:
            raise ValueError("must look like https://dicom.example/prefix, without user, query or fragment")
        return text.rstrip("/")

    @field_validator("cache_control")
    @classmethod
    def _cache_control(cls, text: str) -> str:
        if not (text.strip() and text.isascii() and text.isprintable()):
            raise ValueError('must be directives such as "private, no-cache" (RFC 9111 5.2)')
        return text

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _with_commas(cls, words: Any) -> Any:
        return [word.strip() for word in words.split(",") if word.strip()] if isinstance(words, str) else words

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and (not origin.startswith(("http://", "https://")) or str(URL(origin).origin()) != origin):
                raise ValueError('an origin is a scheme and a host such as "https://viewer.example", without a path, or "*"')
        return origins

    @model_validator(mode="after")
    def _tls_pair(self) -> Server:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are set together or not at all")
        return self


class Log(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important kind of line that is written."""
    format: Literal["json", "console"] = "json"
    """json is one object a line for collectors, console is for eyes."""

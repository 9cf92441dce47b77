"""Small servers on loopback for tests: an origin that a handler plays, a token endpoint, Google's metadata server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def origin(handler: Handler) -> AsyncIterator[TestServer]:
    """A server that answers everything with `handler`."""
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", handler)
    server = TestServer(app)
    await server.start_server(access_log=None)
    try:
        yield server
    finally:
        await server.close()


@dataclass
class TokenEndpoint:
    """What an OAuth 2 token endpoint was asked, and what it answers."""

    url: str = ""
    lifetime: object = 3600
    status: int = 200
    answer: object = None
    delay: float = 0.0
    asked: list[dict[str, str]] = field(default_factory=list)
    """The fields of each form, with the Authorization header under its name."""

    @property
    def given(self) -> int:
        """How many tokens; they are token-1, token-2 ..."""
        return len(self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """RFC 6749 4.4.3 and 5.2; Google's own endpoint and its metadata server answer alike."""
        form = {name: values[0] for name, values in parse_qs(await request.text()).items()}
        self.asked.append(form | {"Authorization": request.headers.get("Authorization", ""), "path": request.path_qs})
        if request.query.get("recursive"):  # the metadata server tells whose token it will give
            whose = {"email": "gateway@p.iam.gserviceaccount.com", "scopes": [], "aliases": ["default"]}
            return web.json_response(whose, headers={"Metadata-Flavor": "Google"})
        number = self.given
        await asyncio.sleep(self.delay)
        if self.answer is not None or self.status != 200:
            return web.json_response(self.answer or {"error": "invalid_client"}, status=self.status)
        made = {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": self.lifetime}
        return web.json_response(made, headers={"Metadata-Flavor": "Google"})


@asynccontextmanager
async def token_endpoint() -> AsyncIterator[TokenEndpoint]:
    """A running token endpoint."""
    endpoint = TokenEndpoint()
    async with origin(endpoint.handle) as server:
        endpoint.url = str(server.make_url("/token"))
        yield endpoint

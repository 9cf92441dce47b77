"""Chromium by its DevTools protocol, over one WebSocket: pages, what goes wrong in them, and what they look like."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import ClientSession, ClientWebSocketResponse
from PIL import Image

CHROMIUM = "chromium"
WIDTH, HEIGHT = 1280, 800

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root in containers, where Chromium has none
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--mute-audio",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--remote-debugging-port=0",
    f"--window-size={WIDTH},{HEIGHT}",
)
STARTS, ANSWERS = 60.0, 60.0
"""Seconds for Chromium to start, and for one of its answers."""

_OUT_OF_SIGHT = re.compile(r"worker|\.bundle\.|/rendered$")
"""Scripts that may be those of workers, and documents of other origins: that they have come is said to them, and not to the page."""

Event = dict[str, Any]


class Failed(Exception):
    """Chromium refused, or what was waited for did not come."""


class Browser:
    """A running Chromium. Use `started`."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[Event]] = {}
        self._listeners: dict[str, Callable[[str, Event], None]] = {}
        self._last = 0
        self._reading = asyncio.create_task(self._read())

    async def call(self, method: str, session: str | None = None, **parameters: Any) -> Event:
        """What a method of the protocol answers.

        :raises Failed: when it does not, or with an error.
        """
        self._last += 1
        future = self._answers[self._last] = asyncio.get_running_loop().create_future()
        message = {"id": self._last, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        await self._socket.send_str(json.dumps(message))
        try:
            async with asyncio.timeout(ANSWERS):
                answer: Event = await future
        except TimeoutError:
            raise Failed(f"{method} was not answered") from None
        return answer

    async def _read(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if "id" in event:
                future = self._answers.pop(event["id"], None)
                if future is None or future.done():
                    continue
                if "error" in event:
                    future.set_exception(Failed(event["error"].get("message", "refused")))
                else:
                    future.set_result(event["result"])
            elif listener := self._listeners.get(event.get("sessionId", "")):
                listener(event["method"], event["params"])

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A new tab of a profile of its own."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = (await self.call("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = Page(self, session)
        self._listeners[session] = page.heard
        try:
            await page.prepare()
            yield page
        finally:
            del self._listeners[session]
            with suppress(Failed):
                await self.call("Target.disposeBrowserContext", browserContextId=context)

    async def aclose(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])


class Page:
    """A tab. What goes wrong in it is in `problems`, and every request in `requests`."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.problems: Counter[str] = Counter()
        self.requests: dict[str, str] = {}
        self.answers: list[tuple[int, str]] = []
        self._open: set[str] = set()
        self._busy = time.monotonic()
        self.dialogs: list[str] = []
        self.reply: str | None = None
        """What is said to a dialog; without it, it is dismissed."""

    async def call(self, method: str, **parameters: Any) -> Event:
        return await self._browser.call(method, self._session, **parameters)

    async def prepare(self) -> None:
        for domain in ("Page", "Network", "Runtime", "Log", "DOM"):
            await self.call(f"{domain}.enable")
        await self.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)
        # OHIF shows first-time visitors around, and tells them what it is not for.
        tours = "localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour', 'basicViewerTour1']));"
        tours += "sessionStorage.setItem('investigationalUseDialog', 'hidden');"  # as if its button had been pressed
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=f"try {{ {tours} }} catch (error) {{}}")

    # -- what is heard

    def heard(self, method: str, event: Event) -> None:
        if method == "Network.requestWillBeSent":
            self._begun(event["requestId"], f"{event['request']['method']} {event['request']['url']}")
        elif method == "Network.responseReceived":
            self._answered(event["requestId"], int(event["response"]["status"]))
        elif method == "Network.loadingFinished":
            self._ended(event["requestId"])
        elif method == "Network.loadingFailed":
            self._ended(event["requestId"])
            if not event.get("canceled") and event["errorText"] != "net::ERR_ABORTED":
                blocked = event.get("blockedReason") or event.get("corsErrorStatus") or ""
                self.problems[f"FAILED {event['errorText']} {blocked} {self.requests.get(event['requestId'], '')}"] += 1
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "assert"):
            words = " ".join(str(one.get("value", one.get("description", ""))) for one in event["args"])
            self.problems[f"console: {words[:400]}"] += 1
        elif method == "Runtime.exceptionThrown":
            details = event["exceptionDetails"]
            self.problems[f"exception: {details.get('exception', {}).get('description', details['text'])[:400]}"] += 1
        elif method == "Log.entryAdded" and event["entry"]["level"] == "error":
            self.problems[f"log: {event['entry']['text'][:300]} {event['entry'].get('url', '')}"] += 1
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(event["message"])
            accepted = self.call("Page.handleJavaScriptDialog", accept=self.reply is not None, promptText=self.reply or "")
            self._replying = asyncio.create_task(accepted)

    def _begun(self, number: str, request: str) -> None:
        self._busy = time.monotonic()
        if " http" in request:  # neither blob: nor data:, nor Chromium's own reader of PDF
            self.requests[number] = request
            if not _OUT_OF_SIGHT.search(request):
                self._open.add(number)

    def _answered(self, number: str, status: int) -> None:
        self._busy = time.monotonic()
        if number in self.requests:
            self.answers.append((status, self.requests[number]))
            if status >= 400:
                self.problems[f"HTTP {status} {self.requests[number]}"] += 1
            if status >= 400:
                self._open.discard(number)  # that the body of an error is whole is not always said

    def _ended(self, number: str) -> None:
        self._busy = time.monotonic()
        self._open.discard(number)

    def asked_for(self, *words: str) -> list[str]:
        """The requests so far that contain all of these words."""
        return [one for one in self.requests.values() if all(word in one for word in words)]

    # -- what is done

    async def goto(self, url: str) -> None:
        self._open.clear()
        answer = await self.call("Page.navigate", url=url)
        if answer.get("errorText"):
            raise Failed(f"{url}: {answer['errorText']}")

    async def quiet(self, still: float = 1.5, most: float = 60.0) -> None:
        """Returns when no request has begun or ended for a while."""
        end = time.monotonic() + most
        self._busy = time.monotonic()
        while time.monotonic() < end:
            await asyncio.sleep(0.1)
            if time.monotonic() - self._busy > still and not self._open:
                return
        raise Failed(f"the page is still asking after {most} s: {[self.requests[one] for one in self._open][:5]}")

    async def evaluate(self, script: str) -> Any:
        """The value of an expression; a promise is waited for."""
        answer = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise Failed(answer["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        return answer["result"].get("value")

    async def text(self) -> str:
        return str(await self.evaluate("document.body ? document.body.innerText.replace(/\\s+/g, ' ') : ''"))

    async def until(self, script: str, most: float = 60.0) -> Any:
        """The first true value of an expression."""
        end = time.monotonic() + most
        while time.monotonic() < end:
            with suppress(Failed):
                if found := await self.evaluate(script):
                    return found
            await asyncio.sleep(0.1)
        raise Failed(f"{script} did not come true; the page says: {(await self.text())[:500]}")

    async def says(self, words: str, most: float = 60.0) -> None:
        """Returns when the page shows these words."""
        await self.until(f"document.body.innerText.replace(/\\s+/g, ' ').includes({json.dumps(words)})", most)

    async def place(self, words: str, *, most: float = 30.0) -> tuple[float, float]:
        """The middle of the first thing that is seen and says exactly these words."""
        script = f"""(() => {{
            const says = one => [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim() === {json.dumps(words)});
            for (const one of [...document.querySelectorAll('*')].filter(says)) {{ const box = one.getBoundingClientRect();
                if (box.width && box.height && box.bottom > 0 && box.top < innerHeight)
                    return [box.x + box.width / 2, box.y + box.height / 2]; }} return null; }})()"""
        x, y = await self.until(script, most)
        return float(x), float(y)

    async def box(self, selector: str, *, most: float = 30.0) -> tuple[float, float, float, float]:
        """x, y, width and height of the largest thing that a selector finds."""
        script = f"""(() => {{ const all = [...document.querySelectorAll({json.dumps(selector)})].map(one => one.getBoundingClientRect())
            .filter(box => box.width > 1 && box.height > 1).sort((a, b) => b.width * b.height - a.width * a.height);
            return all.length ? [all[0].x, all[0].y, all[0].width, all[0].height] : null; }})()"""
        x, y, width, height = await self.until(script, most)
        return float(x), float(y), float(width), float(height)

    async def click(self, x: float, y: float, *, times: int = 1) -> None:
        await self._mouse("mouseMoved", x, y)
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                await self._mouse(kind, x, y, button="left", clickCount=count)

    async def wheel(self, x: float, y: float, turn: float) -> None:
        await self._mouse("mouseWheel", x, y, deltaX=0, deltaY=turn)

    async def _mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    async def key(self, key: str, code: int, text: str = "") -> None:
        """A key by its name, and the number that Windows gave it."""
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text if kind == "keyDown" else ""
            )

    async def choose_files(self, selector: str, files: list[Path]) -> None:
        """Puts files into an input."""
        found = await self.call("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        await self.call("DOM.setFileInputFiles", files=[str(one) for one in files], objectId=found["result"]["objectId"])

    # -- what it looks like

    async def picture(self, box: tuple[float, float, float, float] | None = None) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """What is seen: (rows, columns, 3)."""
        x, y, width, height = box or (0, 0, WIDTH, HEIGHT)
        clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
        data = (await self.call("Page.captureScreenshot", format="png", clip=clip))["data"]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))

    async def shown(self, selector: str, *, most: float = 30.0, least: float = 0.02) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The picture of the largest thing that a selector finds, as soon as it is one: see `lit`."""
        end = time.monotonic() + most
        while True:
            found = await self.picture(await self.box(selector, most=most))
            if lit(found) >= least:
                return found
            if time.monotonic() > end:
                raise Failed(f"{selector} stays dark: {lit(found):.3f} of it is lit; the page says: {(await self.text())[:300]}")
            await asyncio.sleep(0.3)


def lit(picture: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    """How much of the middle of a picture is neither black nor all the same: there the image is, and no words beside it."""
    rows, columns = picture.shape[:2]
    middle = picture[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4].astype(int)
    if middle.size == 0 or middle.std() < 2:
        return 0.0
    return float((middle.max(axis=2) > 24).mean())


def changed(one: np.ndarray[Any, np.dtype[np.uint8]], other: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    """How much of two pictures of the same size differs."""
    return float((np.abs(one.astype(int) - other.astype(int)).max(axis=2) > 8).mean())


@asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """A Chromium of its own, with an empty profile."""
    program = shutil.which(CHROMIUM)
    if program is None:
        raise Failed("chromium was not found; on Debian: apt install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(  # noqa: ASYNC220 - a test starts it once, and has nothing else to do meanwhile
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            port, path = await _endpoint(Path(profile) / "DevToolsActivePort", process)
            async with ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0) as socket:
                browser = Browser(socket)
                try:
                    yield browser
                finally:
                    await browser.aclose()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _endpoint(file: Path, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    end = time.monotonic() + STARTS
    while time.monotonic() < end and process.poll() is None:
        if file.exists() and len(lines := file.read_text().split()) == 2:
            return lines[0], lines[1]
        await asyncio.sleep(0.05)
    raise Failed("chromium did not start")

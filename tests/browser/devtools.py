"""A real Chromium without a window, driven over its DevTools protocol by bowstring's own client.

The protocol is JSON over one WebSocket: a command has an ``id``, its answer the same; everything else is an event. What
concerns one tab carries its ``sessionId``. Screenshots and long strings make messages of several megabytes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import bowstring

__all__ = ["Browser", "DevToolsError", "JavaScriptError", "Page", "Tabs"]

EXECUTABLES = ("chromium", "google-chrome", "chromium-browser")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Tabs that are not in front keep their timers.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    # Those of the tests are signed by nobody that a browser knows.
    "--ignore-certificate-errors",
    # A page that one leaves is over, and not kept, with its WebSockets open, for coming back.
    "--disable-back-forward-cache",
    "--remote-debugging-port=0",
)

START_TIMEOUT = 30.0  # seconds
CONDITION_TIMEOUT = 15.0  # seconds

#: Reports to the console what the page's Content-Security-Policy has stopped.
WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`blocked by ${event.effectiveDirective}: ${event.blockedURI}`));
"""

#: Looks again whenever the page may have changed: at each of its timers' turns.
POLL = """
(condition, given, timeout) => new Promise((resolve, reject) => {
  const end = performance.now() + timeout;
  (function look() {
    const result = condition(...given);
    if (result) resolve(result);
    else if (performance.now() > end) reject(new Error(`not within ${timeout} ms: ${condition}`));
    else setTimeout(look, 10);
  })();
})
"""


class DevToolsError(Exception):
    """The browser refused a command, or has gone."""


class JavaScriptError(Exception):
    """An exception in the page."""


class Browser:
    """The process of a browser, with a profile of its own. Usable from any event loop, one after the other.

    Args:
        profile: an empty directory.
    """

    def __init__(self, profile: Path) -> None:
        executable = next(filter(None, map(shutil.which, EXECUTABLES)), None)
        if executable is None:
            raise FileNotFoundError(f"no browser found: one of {', '.join(EXECUTABLES)} is needed on PATH")
        self._log: deque[str] = deque(maxlen=100)
        self._found = threading.Event()
        self.url = ""
        self._process = subprocess.Popen(
            [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        # Read to the end, so that the pipe never fills.
        self._reader = threading.Thread(target=self._read_log)
        self._reader.start()
        if not self._found.wait(START_TIMEOUT) or not self.url:
            self.stop()
            raise DevToolsError("the browser did not start:\n" + "".join(self._log))

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as log:
            for line in log:
                self._log.append(line)
                if line.startswith("DevTools listening on "):
                    self.url = line.rpartition(" ")[2].strip()
                    self._found.set()
        self._found.set()

    def tabs(self) -> Tabs:
        """A connection to it, for one test: ``async with browser.tabs() as tabs``."""
        return Tabs(self.url)

    def stop(self) -> None:
        """Ends the process and all of its children."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()


class Tabs:
    """A connection to the browser, and the tabs that are used over it.

    Attributes:
        connection: the WebSocket that all of it goes over, from the beginning of the block on.
    """

    connection: bowstring.ClientConnection

    def __init__(self, url: str) -> None:
        self._url = url
        self._context: str | None = None  # of the tabs that were opened: cookies and storage of their own
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._last_id = 0

    async def __aenter__(self) -> Self:
        self.connection = await bowstring.connect(self._url, max_size=None)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._context is not None:
                await self.call("Target.disposeBrowserContext", browserContextId=self._context)
        finally:
            await self.connection.close()
            await self._reader

    async def _read(self) -> None:
        try:
            async for text in self.connection:
                message = json.loads(text)
                if "id" in message:
                    answer = self._answers.pop(message["id"])
                    if not answer.done():
                        answer.set_result(message)
                elif (page := self._pages.get(message.get("sessionId", ""))) is not None:
                    page._take_event(message["method"], message["params"])
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(DevToolsError("the browser has gone"))

    async def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Gives a command, and waits for its answer."""
        self._last_id += 1
        command = {"id": self._last_id, "method": method, "params": params}
        if session is not None:
            command["sessionId"] = session
        self._answers[self._last_id] = answer = asyncio.get_running_loop().create_future()
        await self.connection.send(json.dumps(command))
        message = await answer
        if "error" in message:
            raise DevToolsError(f"{method}: {message['error']['message']}")
        result: dict[str, Any] = message["result"]
        return result

    async def first(self, url: str) -> Page:
        """Goes to an address in the tab that the browser has from its start: many times faster than a new one."""
        targets = (await self.call("Target.getTargets"))["targetInfos"]
        return await self._attach(next(target["targetId"] for target in targets if target["type"] == "page"), url)

    async def open(self, url: str) -> Page:
        """Opens an address in a new tab. Those that one test opens share cookies and storage; all close at its end."""
        if self._context is None:
            self._context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = await self.call(
            "Target.createTarget", url="about:blank", newWindow=True, browserContextId=self._context
        )
        return await self._attach(target["targetId"], url)

    async def _attach(self, target: str, url: str) -> Page:
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log"):
            await page.call(f"{domain}.enable")
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH_POLICY)
        await page.goto(url)
        return page


class Page:
    """One tab.

    Attributes:
        complaints: what went wrong in it: uncaught exceptions, errors and warnings on its console, failed requests.
    """

    def __init__(self, tabs: Tabs, session: str, target: str) -> None:
        self.complaints: list[str] = []
        self._tabs = tabs
        self._session = session
        self._target = target
        self._events: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Gives a command to this tab."""
        return await self._tabs.call(method, self._session, **params)

    def _take_event(self, method: str, params: dict[str, Any]) -> None:
        waiting = self._events.pop(method, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(params)
        complaint = _COMPLAINTS.get(method, _no_complaint)(params)
        if complaint:
            self.complaints.append(complaint)

    def event(self, method: str) -> asyncio.Future[dict[str, Any]]:
        """The next event of this kind, to be waited for."""
        return self._events.setdefault(method, asyncio.get_running_loop().create_future())

    async def goto(self, url: str) -> None:
        """Goes to an address, and waits until it has loaded."""
        loaded = self.event("Page.loadEventFired")
        answer = await self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise DevToolsError(f"{url}: {answer['errorText']}")
        await loaded

    async def run(self, function: str, *arguments: Any) -> Any:
        """Calls a JavaScript function in the page, and waits for its result if that is a promise.

        Args:
            function: its source, such as ``(x) => x + 1``.
            arguments: anything that is JSON.

        Returns:
            The result, which must be JSON too.
        """
        return await self._evaluate(f"({function})(...{json.dumps(arguments)})")

    async def wait_for(self, condition: str, *arguments: Any) -> Any:
        """Waits until a JavaScript function returns something that is true.

        Args:
            condition: its source, such as ``(x) => done > x``.
            arguments: anything that is JSON.

        Returns:
            What it returned.
        """
        return await self._evaluate(f"({POLL})({condition}, {json.dumps(arguments)}, {CONDITION_TIMEOUT * 1000})")

    async def _evaluate(self, expression: str) -> Any:
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise JavaScriptError(_exception_text(answer["exceptionDetails"]))
        return answer["result"].get("value")

    async def type(self, selector: str, text: str) -> None:
        """Puts the cursor into a field, replaces what is in it, and types."""
        await self.run("(selector) => document.querySelector(selector).select()", selector)
        await self.call("Input.insertText", text=text)

    async def press_enter(self) -> None:
        """Presses the Enter key."""
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text="\r", **key)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    async def click(self, selector: str) -> None:
        """Clicks in the middle of an element."""
        x, y = await self.run(
            """(selector) => {
              const box = document.querySelector(selector).getBoundingClientRect();
              return [box.x + box.width / 2, box.y + box.height / 2];
            }""",
            selector,
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def show_on(self, *, width: int, height: int, phone: bool, scheme: str) -> None:
        """Shows the page on another screen.

        Args:
            width, height: in the page's pixels.
            phone: whether it is that of a phone, with a viewport that the page can set, and a touch screen.
            scheme: the colour scheme that its user prefers, ``"light"`` or ``"dark"``.
        """
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        await self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def screenshot(self) -> bytes:
        """What the tab shows, as a PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])

    async def close(self) -> None:
        """Closes the tab."""
        await self._tabs.call("Target.closeTarget", targetId=self._target)


def _exception_text(details: dict[str, Any]) -> str:
    text: str = details.get("exception", {}).get("description") or details["text"]
    return text


def _no_complaint(_: dict[str, Any]) -> str:
    return ""


def _console_complaint(params: dict[str, Any]) -> str:
    if params["type"] not in {"error", "warning", "assert"}:
        return ""
    return " ".join(str(value.get("value", value.get("description", ""))) for value in params["args"])


def _log_complaint(params: dict[str, Any]) -> str:
    entry = params["entry"]
    return f"{entry['text']} {entry.get('url', '')}".strip() if entry["level"] in {"error", "warning"} else ""


_COMPLAINTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "Runtime.exceptionThrown": lambda params: _exception_text(params["exceptionDetails"]),
    "Runtime.consoleAPICalled": _console_complaint,
    "Log.entryAdded": _log_complaint,
}

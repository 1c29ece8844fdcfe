"""Headless Chromium by the W3C WebDriver protocol, for tests and screenshots; nothing but chromedriver and Python."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

KEYS = {
    "Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c",
    "ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015",
}  # fmt: skip
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def what_is_missing() -> str:
    """What a browser cannot be started without, "" if all is there."""
    if not any(map(shutil.which, _NAMES)):
        return "no chromium on the path"
    return "" if shutil.which("chromedriver") else "no chromedriver on the path"


class Browser:
    """One browser with one page; use it as a context manager."""

    def __init__(self) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="browser", ignore_cleanup_errors=True)
        self._driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        self._output: IO[str] = self._driver.stdout or io.StringIO()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            self._session = self._start()
        except BaseException:
            self._stop()
            raise

    def _start(self) -> str:
        started = (re.search(r"successfully on port (\d+)", line) for line in self._output)
        port = next((found[1] for found in started if found), None)
        if port is None:
            raise RuntimeError("chromedriver did not start")
        self._session = f"http://127.0.0.1:{port}/session"
        options = {
            "binary": next(filter(None, map(shutil.which, _NAMES))),
            "args": [*_FLAGS, f"--user-data-dir={self._profile.name}"],
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._ask("", {"capabilities": {"alwaysMatch": wanted}})
        return f"{self._session}/{made['sessionId']}"

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ask("", method="DELETE")
        finally:
            self._stop()

    def _stop(self) -> None:
        self._driver.terminate()
        self._driver.wait(10)
        self._output.close()
        self._profile.cleanup()

    def _ask(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._session + path, data, headers, method=method)  # noqa: S310 - our own
        try:
            with self._opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def open(self, path: Path) -> None:
        self._ask("/url", {"url": path.resolve().as_uri()})

    def show(self, width: int, height: int, *, dark: bool = False) -> None:
        """Size of the page in CSS pixels, and the colour scheme that it is told to be wanted."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._devtools("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", features=[scheme])

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self._ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a JavaScript function's body."""
        return self._ask("/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, *keys: str) -> None:
        """Press keys one after the other: names of KEYS, or text to type."""
        letters = [letter for key in keys for letter in ([KEYS[key]] if key in KEYS else key)]
        steps = [{"type": kind, "value": letter} for letter in letters for kind in ("keyDown", "keyUp")]
        self._ask("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def screenshot(self) -> bytes:
        return base64.b64decode(self._ask("/screenshot", method="GET"))

    def console(self) -> list[str]:
        """What the page has written to its console since the last call, errors and refused requests among it."""
        return [entry["message"] for entry in self._ask("/se/log", {"type": "browser"})]

"""Trials on a device: the probe reads requests from its serial port and answers there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from platformio_tflm.core.arena_search import READY, Answer, Request, read_answer
from platformio_tflm.errors import InputError

READY_SECONDS = 20.0
TRIAL_SECONDS = 60.0
_READ_SECONDS = 0.1
_IDLE = object()


class DeviceTrials:
    """Runs trials one after the other on one start of the device.

    A trial without an answer in *trial_seconds* has crashed or hangs: it counts as too small, and the probe is uploaded
    again, which is the one way to restart that every board has.
    """

    def __init__(
        self,
        find_port: Callable[[], str],
        baud: int,
        restart: Callable[[], None],
        ready_seconds: float = READY_SECONDS,
        trial_seconds: float = TRIAL_SECONDS,
    ) -> None:
        self._find_port = find_port
        self._baud = baud
        self._restart = restart
        self._ready_seconds = ready_seconds
        self._trial_seconds = trial_seconds
        self._serial: Any = None

    def __call__(self, request: Request) -> Answer | None:
        """Errors: InputError when the port cannot be opened or no probe answers there."""
        if self._serial is None:
            self._open()
        heard = self._ask(request)
        if heard is _IDLE:
            # The request was lost, or the probe crashed and its own watchdog started it again: ask once more.
            heard = self._ask(request)
        if isinstance(heard, Answer):
            return heard
        if heard is None:
            self.close()
            self._restart()
        return None

    def _ask(self, request: Request) -> Any:
        """The Answer; _IDLE if the probe waits for a request all the same; None if it is silent."""

        def understand(text: str) -> Any:
            # One word of readiness may have been under way when the request was sent; the second came after it.
            return read_answer(text, request) or (_IDLE if text.count(READY) > 1 else None)

        self._serial.reset_input_buffer()
        self._serial.write(request.line())
        return self._wait(understand, self._trial_seconds)

    def close(self) -> None:
        if self._serial is not None:
            self._serial.close()
            self._serial = None

    def _open(self) -> None:
        import serial  # noqa: PLC0415 - PlatformIO installs it

        port = self._find_port()
        try:
            self._serial = serial.Serial(port, self._baud, timeout=_READ_SECONDS)
        except (OSError, serial.SerialException) as error:
            raise InputError(f"cannot be opened: {error}", where=port, hint="Close other serial monitors.") from error
        if not self._wait(lambda text: READY in text or None, self._ready_seconds):
            self.close()
            raise InputError(
                f"no word of the probe in {self._ready_seconds:g} seconds",
                where=port,
                hint="monitor_port names the board's serial port, where upload_port is another one.",
            )

    def _wait(self, understand: Callable[[str], Any], seconds: float) -> Any:
        """What *understand* makes of the text that comes in; None when the time is up."""
        text = ""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text += self._serial.read(256).decode("ascii", errors="replace")
            found = understand(text)
            if found is not None:
                return found
        return None


def probe_port(env: Any) -> str:
    """The port that the board talks on: monitor_port, else the upload's, else the one that PlatformIO finds.

    Errors: InputError when there is none.
    """
    from platformio.device.finder import SerialPortFinder  # noqa: PLC0415 - only on a device
    from serial.tools.list_ports import comports  # noqa: PLC0415

    asked = str(env.GetProjectOption("monitor_port", "") or "")
    # A board may be uploaded to by a disk, a debugger or the network.
    uploaded_to = env.subst("$UPLOAD_PORT")
    if not asked and uploaded_to in {port.device for port in comports()}:
        asked = uploaded_to
    found = SerialPortFinder(board_config=env.BoardConfig(), ensure_ready=True).find(initial_port=asked or None)
    if not found:
        raise InputError(
            "no serial port of the board was found", where="platformio.ini", hint="monitor_port may name it."
        )
    return str(found)

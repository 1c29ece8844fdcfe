"""Trials on a device: a pseudo terminal with a thread behind it stands in for a board with the probe."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from platformio_tflm.core.arena_search import READY, Answer, Request, find_smallest
from platformio_tflm.errors import InputError
from platformio_tflm.scons.probe_device import DeviceTrials

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")


@dataclass
class Board:
    """Needs *least* bytes, falls silent below *silent_below*, restarts by itself below *restarts_below*."""

    least: int = 1072
    silent_below: int = 0
    restarts_below: int = 0
    loses: int = 0
    running: bool = True
    restarts: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.master, self.slave = os.openpty()
        import tty  # noqa: PLC0415 - not on Windows

        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.thread.start()

    def restart(self) -> None:
        self.restarts += 1
        self.running = True

    def _live(self) -> None:
        os.set_blocking(self.master, False)
        line = b""
        while not self.ended.wait(0.02):
            try:
                line += os.read(self.master, 100)
            except BlockingIOError:
                if self.running:
                    os.write(self.master, f"\n{READY}\n".encode())
                continue
            *requests, line = line.split(b"\n")
            for request in requests:
                self._take(request)

    def _take(self, request: bytes) -> None:
        if self.loses:
            self.loses -= 1
            return
        model, arena_bytes = map(int, request.split())
        if arena_bytes < self.silent_below:
            self.running = False
        elif arena_bytes >= self.restarts_below and self.running:
            outcome = (
                "used 676 outputs 12345678 ok" if arena_bytes >= self.least else "used 0 outputs 00000000 allocate"
            )
            os.write(self.master, f"\ntflm-probe model {model} arena {arena_bytes} {outcome}\n".encode())

    def close(self) -> None:
        self.ended.set()
        self.thread.join()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def board() -> Iterator[Callable[..., tuple[Board, DeviceTrials]]]:
    made: list[tuple[Board, DeviceTrials]] = []

    def make(**values: int) -> tuple[Board, DeviceTrials]:
        device = Board(**values)  # type: ignore[arg-type]
        made.append((device, DeviceTrials(lambda: device.port, 115200, device.restart, 2.0, 0.5)))
        return made[-1]

    yield make
    for device, trials in made:
        trials.close()
        device.close()


def test_smallest_arena_on_one_start(board: Callable[..., tuple[Board, DeviceTrials]]) -> None:
    device, trials = board()
    found = find_smallest(trials, 3, planned_bytes=1104, largest_bytes=8192)
    assert found.answer == Answer(3, 1072, 676, "12345678")
    assert device.restarts == 0


def test_silence_is_too_small_and_the_board_is_started_again(board: Callable[..., tuple[Board, DeviceTrials]]) -> None:
    device, trials = board(silent_below=1072)
    found = find_smallest(trials, 0, planned_bytes=1072, largest_bytes=8192)
    assert (found.answer.arena_bytes, found.faults, device.restarts) == (1072, 1, 1)
    assert trials(Request(0, 1072)) == found.answer


def test_board_with_a_watchdog(board: Callable[..., tuple[Board, DeviceTrials]]) -> None:
    device, trials = board(restarts_below=1072)
    assert find_smallest(trials, 0, planned_bytes=1072, largest_bytes=8192).answer.arena_bytes == 1072
    assert device.restarts == 0


def test_lost_request_is_sent_again(board: Callable[..., tuple[Board, DeviceTrials]]) -> None:
    _, trials = board(loses=1)
    assert trials(Request(0, 1072)) == Answer(0, 1072, 676, "12345678")


def test_no_probe_at_the_port(board: Callable[..., tuple[Board, DeviceTrials]]) -> None:
    device, trials = board()
    device.running = False
    trials._ready_seconds = 0.2
    with pytest.raises(InputError, match="no word of the probe"):
        trials(Request(0, 1072))


def test_port_that_is_not_there() -> None:
    trials = DeviceTrials(lambda: "/dev/none-of-this-name", 115200, lambda: None)
    with pytest.raises(InputError, match="cannot be opened"):
        trials(Request(0, 1072))

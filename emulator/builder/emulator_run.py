"""The upload target: the firmware in QEMU, its output on the console, its exit code as the result."""

from __future__ import annotations

import codecs
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from emulator_options import OptionError, emulator_arguments, timeout_seconds
from emulator_tools import COMMAND_NOT_FOUND, missing_qemu

TIMED_OUT = 124
BAD_OPTION = 2


def run_firmware(target: Any, source: Any, env: Any) -> int:  # noqa: ARG001  (SCons names its arguments)
    """SCons action: run the ELF ``source[0]``; zero only if the firmware ended by itself with zero."""
    program = env.BoardConfig().get("emulator.program", "qemu-system-arm")
    problem = missing_qemu(program, str(env["ENV"].get("PATH", "")))
    if problem:
        return _failed(problem, COMMAND_NOT_FOUND)
    try:
        timeout = timeout_seconds(env)
        command = qemu_command(program, env.BoardConfig(), str(source[0]), emulator_arguments(env))
    except OptionError as error:
        return _failed(str(error), BAD_OPTION)
    return run_command(command, timeout, dict(env["ENV"]))


def qemu_command(program: str, board: Any, elf: str, arguments: list[str]) -> list[str]:
    """The whole command line. The console is a character device of its own, else QEMU writes it to standard error."""
    return [
        program,
        *("-machine", board.get("emulator.machine")),
        *("-display", "none", "-monitor", "none", "-serial", "null"),
        *("-chardev", "stdio,id=console,signal=on"),
        *("-semihosting-config", "enable=on,target=native,chardev=console"),
        *arguments,
        *("-kernel", elf),
    ]


def run_command(command: list[str], timeout: float, environment: dict[str, str]) -> int:
    """Run, pass the output on as it comes, stop after the time-out; returns the exit code."""
    started = time.monotonic()
    process = subprocess.Popen(  # noqa: S603  (the user's own machine, board and arguments)
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    timer = threading.Timer(timeout, process.kill)
    timer.start()
    try:
        if process.stdout:
            _pass_on(process.stdout.fileno())
        process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    seconds = time.monotonic() - started
    return _verdict(process.returncode, seconds, timeout)


def _pass_on(output: int) -> None:
    """Copy the output to the console; a last line without an end gets one, for PlatformIO shows whole lines only."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="backslashreplace")
    last = "\n"
    while chunk := os.read(output, 65536):
        text = decoder.decode(chunk)
        sys.stdout.write(text)
        sys.stdout.flush()
        last = text[-1:] or last
    rest = decoder.decode(b"", final=True)
    if rest or last != "\n":
        sys.stdout.write(f"{rest}\n")
        sys.stdout.flush()


def _verdict(code: int, seconds: float, timeout: float) -> int:
    if seconds >= timeout and code != 0:
        return _failed(
            f"the firmware was still running after {timeout:g} s and was stopped; "
            "`custom_emulator_timeout` sets the seconds it may take",
            TIMED_OUT,
        )
    if code < 0:
        return _failed(f"QEMU was stopped by signal {-code} after {seconds:.1f} s{_reason(-code)}", 128 - code)
    if code != 0:
        return _failed(f"the firmware ended with exit code {code} after {seconds:.1f} s", code)
    print(f"The firmware ended with exit code 0 after {seconds:.1f} s", flush=True)
    return 0


def _reason(number: int) -> str:
    """QEMU aborts when the processor can do nothing more."""
    return " (a fault inside the fault handler locks the processor up)" if number == signal.SIGABRT else ""


def _failed(text: str, code: int) -> int:
    sys.stderr.write(f"Error: {text}\n")
    sys.stderr.flush()
    return code

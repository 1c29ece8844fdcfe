"""The tree of errors.

::

    TflmError                      something the user can mend; never shows a traceback
    ├── LimitExceededError    1    the firmware does not fit its board
    ├── UsageError            2    a wrong command line or platformio.ini option
    ├── InputError            3    a file that cannot be read
    │   ├── ModelError             a .tflite
    │   ├── MapFileError           a linker map
    │   ├── ElfError               an ELF
    │   ├── BoardError             a board file
    │   └── LibraryError           the headers of a TFLM library
    └── UnsupportedError      4    the model cannot run on this runtime

Everything else that escapes is a bug of ours: exit code 70, with a traceback.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command and of a failed build."""

    DONE = 0
    LIMIT_EXCEEDED = 1
    USAGE = 2
    INPUT = 3
    UNSUPPORTED = 4
    BUG = 70


class TflmError(Exception):
    """An error that the user can mend.

    what:     the fact, with the figure measured and the figure allowed.
    where:    the file, and where in it ("models/a.tflite, operator 3 (CONV_2D)").
    hint:     what to do next; one sentence or a few lines.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def located(self, where: str) -> TflmError:
        """Fill in the place, for errors raised by code that does not know the file's name."""
        self.where = f"{where}, {self.where}" if self.where else where
        return self

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  {self.hint}" if self.hint else text


class LimitExceededError(TflmError):
    """The firmware needs more flash or SRAM than the board has."""

    exit_code = ExitCode.LIMIT_EXCEEDED


class UsageError(TflmError):
    """A wrong option, value or command line."""

    exit_code = ExitCode.USAGE


class InputError(TflmError):
    """A file that cannot be read as what it should be."""

    exit_code = ExitCode.INPUT


class ModelError(InputError):
    """Not a usable .tflite file."""


class MapFileError(InputError):
    """Not a usable linker map."""


class ElfError(InputError):
    """Not a usable ELF file."""


class BoardError(InputError):
    """Not a usable board description."""


class LibraryError(InputError):
    """A TensorFlow Lite Micro library whose headers cannot be understood."""


class UnsupportedError(TflmError):
    """The model needs something that the runtime does not have."""

    exit_code = ExitCode.UNSUPPORTED

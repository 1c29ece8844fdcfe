"""Golden files: ``golden("report_x.txt", text)`` compares, ``pytest --update-golden`` writes, an unused file fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

GOLDEN = Path(__file__).resolve().parent / "golden"


@dataclass
class GoldenFiles:
    """What one run has used; wanting counts the collected tests that use golden files, begun those that ran."""

    used: set[Path] = field(default_factory=set)
    unused: list[Path] = field(default_factory=list)
    wanting: int = 0
    begun: int = 0


_FILES = pytest.StashKey[GoldenFiles]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew instead of comparing")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FILES] = GoldenFiles()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[_FILES].wanting = sum("golden" in getattr(item, "fixturenames", ()) for item in items)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with the golden file of this name, or writes it."""
    files = request.config.stash[_FILES]
    files.begun += 1

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        files.used.add(path)
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))
        assert path.is_file(), f"tests/golden/{name} is missing; run pytest --update-golden"
        assert text == path.read_bytes().decode("utf-8"), f"tests/golden/{name} differs; run pytest --update-golden"

    return check


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Only a run of everything can tell that a file is unused."""
    files = session.config.stash[_FILES]
    options = session.config.option
    chosen = (
        options.keyword or options.markexpr or getattr(options, "lf", False) or getattr(options, "collectonly", False)
    )
    whole = all(Path(argument).is_dir() for argument in session.config.args)
    if chosen or not whole or files.begun < files.wanting:
        return
    files.unused = sorted(path for path in GOLDEN.rglob("*") if path.is_file() and path not in files.used)
    if options.update_golden:
        for path in files.unused:
            path.unlink()
    elif files.unused and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    done = "removed" if config.getoption("--update-golden") else "no test uses it; remove it or run --update-golden"
    for path in config.stash[_FILES].unused:
        terminalreporter.write_line(f"tests/golden/{path.relative_to(GOLDEN).as_posix()}: {done}", red=True)

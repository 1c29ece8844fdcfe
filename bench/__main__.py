"""Run all benchmarks, or those named: ``python -m bench [data_source reader ...]``; 1 if an aim was missed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from bench.outcome import Outcome


def names() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def run(name: str) -> Outcome:
    outcome: Outcome = importlib.import_module(f"bench.bench_{name}").run()
    return outcome


def show(outcome: Outcome) -> None:
    print(f"{outcome.title}\n{'-' * len(outcome.title)}\n{outcome.text}")
    for line in outcome.missed:
        print(f"MISSED: {line}")
    print(flush=True)


def main(chosen: list[str]) -> int:
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    missed = 0
    for name in chosen or names():
        outcome = run(name)
        show(outcome)
        missed += len(outcome.missed)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

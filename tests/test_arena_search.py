"""The search for the smallest arena, with a machine made of rules; the probe's request and answer."""

from __future__ import annotations

import pytest

from platformio_tflm.core.arena_search import (
    REQUEST_MARK,
    Answer,
    Request,
    TrialError,
    find_smallest,
    pool_bytes,
    read_answer,
    smallest_working,
    with_request,
)
from platformio_tflm.errors import InputError


@pytest.mark.parametrize("least", [16, 32, 48, 1056, 1072, 1088, 4080, 5392, 5408])
@pytest.mark.parametrize("guess", [0, 16, 1072, 1100, 5408, 6000])
def test_smallest_working(least: int, guess: int) -> None:
    tried: list[int] = []

    def works(size: int) -> bool:
        tried.append(size)
        return size >= least

    assert smallest_working(works, guess, 5408) == least
    assert all(0 < size < 5408 and size % 16 == 0 for size in tried)
    assert len(tried) == len(set(tried)) <= 18


def test_an_exact_plan_takes_three_trials() -> None:
    found = find_smallest(machine(1072), 0, planned_bytes=1072, largest_bytes=pool_bytes([1072]))
    assert (found.answer.arena_bytes, found.answer.used_bytes, found.trials, found.faults) == (1072, 676, 3, 0)


def machine(least: int, faults_below: int = 0, wrong_below: int = 0):  # type: ignore[no-untyped-def]
    """Answers as a probe would whose model needs *least* bytes."""

    def run(request: Request) -> Answer | None:
        if request.arena_bytes < faults_below:
            return None
        if request.arena_bytes < least:
            return Answer(request.model, request.arena_bytes, 0, "811c9dc5", "allocate")
        outputs = "0badcafe" if request.arena_bytes < wrong_below else "12345678"
        return Answer(request.model, request.arena_bytes, 676, outputs)

    return run


def test_faults_count_as_too_small() -> None:
    found = find_smallest(machine(1072, faults_below=1072), 0, planned_bytes=1104, largest_bytes=8192)
    assert found.answer.arena_bytes == 1072
    assert found.faults > 0


def test_other_outputs_count_as_too_small() -> None:
    found = find_smallest(machine(1072, wrong_below=1200), 0, planned_bytes=1104, largest_bytes=8192)
    assert found.answer.arena_bytes == 1200


@pytest.mark.parametrize(("faults", "how"), [(0, "failed at 'allocate'"), (100_000, "a fault or did not end")])
def test_model_that_does_not_run(faults: int, how: str) -> None:
    with pytest.raises(TrialError, match=how):
        find_smallest(machine(100_000, faults_below=faults), 0, planned_bytes=1024, largest_bytes=8192)


def test_request_in_an_image() -> None:
    image = b"\x7fELF" + bytes(60) + REQUEST_MARK + bytes(8) + b"the rest"
    patched = with_request(image, Request(2, 1072))
    assert len(patched) == len(image)
    assert patched.endswith(REQUEST_MARK + b"\x02\0\0\0\x30\x04\0\0" + b"the rest")


@pytest.mark.parametrize("image", [b"", REQUEST_MARK, REQUEST_MARK + bytes(7), 2 * (REQUEST_MARK + bytes(8))])
def test_image_of_something_else(image: bytes) -> None:
    with pytest.raises(InputError, match="no single place"):
        with_request(image, Request(0, 16))


def test_answer_among_other_words() -> None:
    output = (
        "tflm-probe model 0 arena 64 used 0 outputs 811c9dc5 allocate\r\n"
        "Failed to resize buffer. Requested: 64\n"
        "\ntflm-probe model 1 arena 1072 used 676 outputs 0a1b2c3d ok\r\n"
    )
    assert read_answer(output, Request(1, 1072)) == Answer(1, 1072, 676, "0a1b2c3d")
    assert read_answer(output, Request(0, 64)) == Answer(0, 64, 0, "811c9dc5", "allocate")
    assert read_answer(output, Request(1, 1056)) is None
    assert read_answer(output[:-4], Request(1, 1072)) is None


def test_answer_with_numbers_beyond_measure() -> None:
    digits = "1" * 5_000
    for line in (
        f"tflm-probe model {digits} arena 16 used 16 outputs 00000000 ok",
        f"tflm-probe model 0 arena 16 used {digits} outputs 00000000 ok",
        "tflm-probe model 0 arena 16 used 17 outputs 00000000 ok",
        "tflm-probe model \u0660 arena 16 used 16 outputs 00000000 ok",
    ):
        assert read_answer(f"{line}\n", Request(0, 16)) is None


def test_pool() -> None:
    assert pool_bytes([1072, 100]) == 5440
    assert pool_bytes([82304]) % 16 == 0
    assert pool_bytes([82304], 1 << 20) == pool_bytes([82304])
    assert pool_bytes([82304], 131072) == 98304
    assert pool_bytes([110000], 131072) == 111024

"""The arena's upper bound: against measurements of real TFLM, and against an independent look at every plan."""

from __future__ import annotations

import json
import re
import statistics
import struct
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import make_models
from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec, serialize

from platformio_tflm.core.arena import (
    ILP32,
    ILP32_FULL_STRUCTS,
    LP64,
    Abi,
    ArenaPlan,
    Buffer,
    Placement,
    PlanError,
    place,
    plan_upper_bound,
    verify,
)
from platformio_tflm.core.arena_kernels import KernelSet
from platformio_tflm.core.arena_sizes import SIGNAL_OPERATORS
from platformio_tflm.core.liveness import live_ranges
from platformio_tflm.core.model import Model
from platformio_tflm.core.op_table import BUILTIN_METHODS, CUSTOM_METHODS
from platformio_tflm.core.tflite import read_model
from platformio_tflm.errors import ModelError

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
TRUTH = SHARED / "truth" / "arena.json"
OWN = sorted(make_models.FOLDER.glob("*.tflite"))
MEASURED = {"m4_ref": KernelSet.REFERENCE, "m4_cmsis_nn": KernelSet.CMSIS_NN}

needs_truth = pytest.mark.skipif(not TRUTH.is_file(), reason="the measurements (../shared/truth) are not here")


def own(name: str) -> Model:
    return read_model((make_models.FOLDER / f"{name}.tflite").read_bytes())


def measured() -> list[tuple[str, Model, dict[KernelSet, dict[str, Any]]]]:
    """(file, model, measurement by kernel set) of every model that runs."""
    found = []
    for entry in json.loads(TRUTH.read_text())["models"]:
        runs = {kernels: entry[key] for key, kernels in MEASURED.items() if "min_working_arena_bytes" in entry[key]}
        if runs:
            found.append((entry["file"], read_model((SHARED / "models" / entry["file"]).read_bytes()), runs))
    return found


# --- against real TFLM


@needs_truth
def test_never_under_and_never_far_over_what_tflm_needs() -> None:
    excess_percent = []
    for name, model, runs in measured():
        for kernels, run in runs.items():
            need = run["min_working_arena_bytes"]
            plan = plan_upper_bound(model, kernels=[kernels], abi=ILP32)
            assert plan.size_bytes >= need, (name, kernels)
            assert plan.head_bytes == run["head_bytes"], (name, kernels)
            assert plan.tail_bytes >= run["tail_bytes"], (name, kernels)
            excess_percent.append(100 * (plan.size_bytes - need) / need)
    assert len(excess_percent) >= 20
    assert statistics.median(excess_percent) < 1
    assert max(excess_percent) < 6


@needs_truth
def test_default_plan_serves_both_kernel_sets() -> None:
    for name, model, runs in measured():
        plan = plan_upper_bound(model)
        assert plan.method == "upper-bound"
        assert plan.used_bytes is None
        assert plan.notes == (), name
        assert plan.size_bytes >= max(run["min_working_arena_bytes"] for run in runs.values()), name


# arena_used_bytes() on an Arduino Nano 33 BLE and an ESP32, as mcufit-bench published them (2026-08-16): libraries of
# other years, built without TF_LITE_STATIC_MEMORY.
ON_SILICON = {
    "tflm_person_detect.tflite": (82_740, 82_300),
    "mlperf_kws_ref_model.tflite": (24_164, 22_780),
    "mlperf_ad01_int8.tflite": (2_596, 2_380),
}


@needs_truth
@pytest.mark.parametrize(("name", "used"), ON_SILICON.items())
def test_default_plan_covers_other_libraries(name: str, used: tuple[int, ...]) -> None:
    plan = plan_upper_bound(read_model((SHARED / "models" / name).read_bytes()))
    assert max(used) <= plan.size_bytes < 1.3 * max(used)


# Smallest working arenas, measured with the libraries themselves on an emulated Cortex-M4.
EARLY = {
    ("mww_v2_okay_nabu", KernelSet.REFERENCE_2022, ILP32): 18_960,
    ("mww_v2_vad", KernelSet.REFERENCE_2022, ILP32): 10_080,
    ("tflm_trained_lstm_int8", KernelSet.REFERENCE_2022, ILP32): 4_320,
    ("mww_v2_okay_nabu", KernelSet.CMSIS_NN_2023, ILP32_FULL_STRUCTS): 20_368,
    ("mww_v2_vad", KernelSet.CMSIS_NN_2023, ILP32_FULL_STRUCTS): 10_912,
}


@needs_truth
@pytest.mark.parametrize("case", EARLY, ids=lambda case: f"{case[0]}-{case[1].value}")
def test_libraries_of_2022_and_2023(case: tuple[str, KernelSet, Abi]) -> None:
    name, kernels, abi = case
    plan = plan_upper_bound(read_model((SHARED / "models" / f"{name}.tflite").read_bytes()), kernels=[kernels], abi=abi)
    assert plan.size_bytes >= EARLY[case]


@needs_truth
def test_planning_is_quick() -> None:
    for path in (SHARED / "models").glob("*.tflite"):
        model = read_model(path.read_bytes())
        started = time.process_time()
        plan_upper_bound(model)
        assert time.process_time() - started < 0.1, path.name


RUNNING = [path for path in OWN if path.stem not in {*make_models.REFUSED_BY_TFLM, "external_buffers"}]


@pytest.mark.parametrize("path", RUNNING, ids=lambda path: path.stem)
def test_own_models_against_tflm_on_this_host(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The head is the same on every ABI, and the tail is bounded.

    PyPI's build records its allocations (200 bytes more in MicroAllocator, up to 32 in the arena's own struct), always
    has resource variables (32), and has compression in (up to 16 bytes an operator and a subgraph).
    """
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="PyPI's tflite-micro is missing")
    model = read_model(path.read_bytes())
    interpreter = runtime.Interpreter.from_bytes(model.data, arena_size=1 << 18)
    interpreter.invoke()
    interpreter.print_allocations()
    printed = capfd.readouterr().err
    head, tail = (int(re.search(rf"allocation {part} (\d+) bytes", printed)[1]) for part in ("head", "tail"))
    plan = plan_upper_bound(model, kernels=[KernelSet.REFERENCE], abi=LP64)
    assert plan.head_bytes == head
    operators = sum(len(subgraph.operators) for subgraph in model.subgraphs)
    extra = 200 + 32 + 32 + 16 * (operators + len(model.subgraphs))
    assert tail <= plan.tail_bytes + extra
    assert plan.tail_bytes < 1.5 * tail


# --- every operator


# Callers need subgraphs; they are among the project's own models.
SIMPLE = sorted({*BUILTIN_METHODS, *CUSTOM_METHODS} - {"IF", "WHILE", "CALL_ONCE"})
BY_GUESS = {*SIGNAL_OPERATORS, "ethos-u"}


@pytest.mark.parametrize("name", SIMPLE)
def test_every_operator_of_tflm_has_its_sizes(name: str) -> None:
    """An operator that the resolver knows and the planner does not would be planned by guess, with a note."""
    tensors = (TensorSpec("input", "INT8", (1, 4, 4, 4)), TensorSpec("output", "INT8", (1, 4, 4, 4)))
    spec = ModelSpec((GraphSpec(tensors, (0,), (1,), (OperatorSpec(name, (0, 0), (1,)),)),))
    plan = plan_upper_bound(read_model(serialize(spec)), kernels=KernelSet)
    assert bool(plan.notes) == (name in BY_GUESS)


def test_custom_operator_is_a_guess_and_says_so() -> None:
    plan = plan_upper_bound(own("custom_operator"))
    (note,) = plan.notes
    assert note.startswith("operator MovingMedian: what it needs is not known; ")
    assert note.endswith("256 bytes of persistent memory and 32 bytes of scratch are assumed")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_other_kernel_sets_plan_too(path: Path) -> None:
    model = read_model(path.read_bytes())
    sizes = {kernels: plan_upper_bound(model, kernels=[kernels]).size_bytes for kernels in KernelSet}
    assert plan_upper_bound(model, kernels=KernelSet).size_bytes == max(sizes.values())
    assert plan_upper_bound(model, abi=LP64).size_bytes > plan_upper_bound(model).size_bytes


# --- live ranges


def ranges(model: Model) -> dict[tuple[int, int], tuple[int, int]]:
    return {(live.subgraph, live.tensor): (live.first, live.last) for live in live_ranges(model).ranges}


def test_live_ranges_of_a_chain() -> None:
    assert ranges(own("fully_connected_int8")) == {(0, 0): (0, 1), (0, 3): (1, 2), (0, 6): (2, 2)}


def test_live_ranges_of_branches() -> None:
    """IF is scope 1; its branches enter scopes 2 and 4, and their operators run in 3 and 5."""
    assert ranges(own("if_subgraphs")) == {
        (0, 0): (0, 5),
        (0, 1): (0, 5),
        (0, 2): (1, 5),
        (1, 0): (2, 3),
        (1, 2): (3, 3),
        (2, 0): (4, 5),
        (2, 2): (5, 5),
    }


def test_resource_handles_and_variables_take_no_room() -> None:
    streaming = ranges(own("streaming_int8"))
    assert (0, 1) not in streaming
    assert (1, 0) not in streaming
    assert (0, 2) in streaming
    assert (0, 4) not in ranges(own("svdf_int8"))


def test_a_tensor_that_nothing_touches_takes_room_all_the_same() -> None:
    assert ranges(own("several_inputs_outputs"))[0, 4] == (-1, -1)


def test_operator_scopes() -> None:
    liveness = live_ranges(own("while_subgraphs"))
    assert {key: (scope.first, scope.last) for key, scope in liveness.operators.items()} == {
        (0, 0): (1, 5),
        (1, 0): (3, 3),
        (2, 0): (5, 5),
    }


# --- a plan that the model brings


def with_plan(*offsets: int, header: tuple[int, ...] = (0, 0)) -> ModelSpec:
    spec = make_models.specifications()["fully_connected_int8"]
    data = struct.pack(f"<{len(header) + 1 + len(offsets)}i", *header, len(offsets), *offsets)
    return replace(spec, metadata={"OfflineMemoryAllocation": data})


def test_offline_plan_is_followed() -> None:
    plan = plan_upper_bound(read_model(serialize(with_plan(64, -1, -1, 64, -1, -1, 0))))
    places = {placement.tensor: (placement.offset, placement.prescribed) for placement in plan.placements}
    assert places == {0: (64, True), 3: (64, True), 6: (0, True)}
    assert plan.head_bytes == 80


BAD_PLANS = {
    "too few": (with_plan(0, 0), "is made for 2 tensors, but the model has 7"),
    "not aligned": (with_plan(8, -1, -1, 64, -1, -1, 0), "holds offsets that are negative or not multiples of 16"),
    "negative": (with_plan(-16, -1, -1, 64, -1, -1, 0), "holds offsets that are negative or not multiples of 16"),
    "cut off": (
        replace(with_plan(), metadata={"OfflineMemoryAllocation": struct.pack("<3i", 0, 0, 7)}),
        "has 12 bytes, fewer than its offsets need",
    ),
}


@pytest.mark.parametrize(("spec", "what"), BAD_PLANS.values(), ids=BAD_PLANS.keys())
def test_bad_offline_plans(spec: ModelSpec, what: str) -> None:
    with pytest.raises(ModelError) as caught:
        plan_upper_bound(read_model(serialize(spec)))
    assert caught.value.what == f"the model's own memory plan (OfflineMemoryAllocation) {what}"


# --- planner and verifier


def buffers() -> st.SearchStrategy[list[Buffer]]:
    def build(size: int, first: int, length: int) -> Buffer:
        return Buffer(0, 0, None, 16 * size, first, first + length)

    return st.lists(st.builds(build, st.integers(0, 20), st.integers(-1, 30), st.integers(0, 10)), max_size=40)


def plan_of(placements: list[Placement]) -> ArenaPlan:
    head = max((placement.end for placement in placements), default=0)
    return ArenaPlan(head, None, head, 0, 0, "upper-bound", KernelSet.REFERENCE, tuple(placements))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(buffers())
def test_every_plan_is_sound(wanted: list[Buffer]) -> None:
    """Checked twice: by the verifier that runs in production, and pair by pair here."""
    placements = place(wanted)
    assert len(placements) == len(wanted)
    plan = plan_of(placements)
    verify(plan)
    for index, one in enumerate(placements):
        for other in placements[:index]:
            apart = one.last < other.first or other.last < one.first
            assert apart or one.end <= other.offset or other.end <= one.offset
    lowest = max(
        (sum(b.size_bytes for b in wanted if b.first <= scope <= b.last) for scope in range(-1, 42)), default=0
    )
    assert lowest <= plan.head_bytes <= sum(b.size_bytes for b in wanted)


def one(offset: int, size_bytes: int, first: int, last: int, *, prescribed: bool = False) -> Placement:
    return Placement(0, 0, None, offset, size_bytes, first, last, prescribed)


UNSOUND = {
    "overlap": ([one(0, 64, 0, 2), one(48, 32, 2, 3)], "overlaps another living buffer"),
    "one inside another": ([one(0, 256, 0, 9), one(64, 16, 3, 4), one(128, 16, 3, 4)], "overlaps another"),
    "overlap with a prescribed one": ([one(0, 64, 0, 2, prescribed=True), one(48, 32, 2, 3)], "overlaps Placement"),
    "not aligned": ([one(8, 16, 0, 1)], "is misplaced in a head of 24 bytes"),
    "before the arena": ([one(-16, 16, 0, 1)], "is misplaced in a head of 0 bytes"),
}


@pytest.mark.parametrize(("placements", "message"), UNSOUND.values(), ids=UNSOUND.keys())
def test_verifier_refuses(placements: list[Placement], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        verify(replace(plan_of(placements), size_bytes=4096))


def test_verifier_checks_the_bounds() -> None:
    good = plan_upper_bound(own("convolution_int8"))
    with pytest.raises(PlanError, match="is misplaced"):
        verify(replace(good, head_bytes=good.head_bytes - 16))
    with pytest.raises(PlanError, match="do not hold"):
        verify(replace(good, size_bytes=good.head_bytes))
    with pytest.raises(PlanError, match="do not hold"):
        verify(replace(good, size_bytes=good.size_bytes + 4))


def test_verifier_lets_buffers_share_room_at_different_times() -> None:
    verify(plan_of([one(0, 64, 0, 2), one(0, 64, 3, 5), one(64, 16, 0, 5)]))


def test_a_model_of_thousands_of_tensors_is_stacked() -> None:
    wanted = [Buffer(0, index, None, 32, index, index + 1) for index in range(3_000)]
    wanted[7] = wanted[7]._replace(offline_offset=160)
    started = time.process_time()
    plan = plan_of(place(wanted))
    verify(plan)
    assert plan.head_bytes == 192 + 32 * 2_999
    assert time.process_time() - started < 1


def test_plans_are_the_same_every_time() -> None:
    model = own("streaming_int8")
    assert plan_upper_bound(model) == plan_upper_bound(model)

"""The arena: against measurements of real TFLM, and against an independent look at every plan."""

from __future__ import annotations

import json
import re
import struct
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import make_models
from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec, serialize
from models.single_operators import single_operators

from platformio_tflm.core.arena import (
    EABI,
    EABI_FULL_STRUCTS,
    ILP32,
    ILP32_FULL_STRUCTS,
    LP64,
    Abi,
    ArenaPlan,
    Buffer,
    Placement,
    PlanError,
    place,
    plan_arena,
    verify,
)
from platformio_tflm.core.arena_abi import LP64_PYPI, with_error_reporter
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

# Real TFLM of two generations on an emulated Cortex-M4: the figures of every model of tests/models that it runs.
FIGURES = json.loads((make_models.FOLDER / "measured_arena.json").read_text())

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


# In a tiny arena TFLM lets a kernel's own data overwrite the tensors that its Prepare() has borrowed, and happens to get
# away with it; a plan counts both. By operator: how many bytes that is at most.
_OVERWRITTEN_BYTES = {"EMBEDDING_LOOKUP": 16, "FULLY_CONNECTED": 64}


def same(plan: ArenaPlan, figures: dict[str, Any], more_bytes: int = 0) -> bool:
    over = plan.size_bytes - figures["min_working_arena_bytes"]
    stays = (plan.used_bytes, plan.head_bytes) == (figures["arena_used_bytes"], figures["head_bytes"])
    return 0 <= over <= more_bytes and stays and plan.method == "exact"


@needs_truth
def test_public_models_to_the_byte() -> None:
    """Of 22 pairs of a model and a kernel set, all that was measured: need, used, head, tail."""
    pairs = 0
    for name, model, runs in measured():
        for kernels, run in runs.items():
            plan = plan_arena(model, kernels=[kernels], abi=EABI)
            assert same(plan, run), (name, kernels)
            assert plan.tail_bytes == run["tail_bytes"], (name, kernels)
            pairs += 1
    assert pairs == 22


@pytest.mark.parametrize(("name", "figures"), FIGURES["models"].items())
def test_own_models_to_the_byte(name: str, figures: dict[str, Any]) -> None:
    model = own(name)
    for kernels, run in figures.items():
        plan = plan_arena(model, kernels=[KernelSet(kernels)], abi=EABI)
        assert same(plan, run), kernels


@pytest.mark.parametrize("operator", sorted({name.split()[0] for name in FIGURES["operators"]}))
def test_single_operators_to_the_byte(operator: str) -> None:
    for name, spec in single_operators().items():
        if name.split()[0] == operator:
            model = read_model(serialize(spec))
            for kernels, run in FIGURES["operators"][name].items():
                plan = plan_arena(model, kernels=[KernelSet(kernels)], abi=EABI)
                assert same(plan, run, _OVERWRITTEN_BYTES.get(operator, 0)), (name, kernels)


def test_every_own_model_was_measured() -> None:
    runnable = {path.stem for path in OWN} - set(make_models.REFUSED_BY_TFLM)
    assert set(FIGURES["models"]) == runnable
    assert set(FIGURES["operators"]) == set(single_operators())


@needs_truth
def test_default_plan_serves_all_kernel_sets() -> None:
    for name, model, runs in measured():
        plan = plan_arena(model)
        assert plan.method == "upper-bound"
        assert plan.used_bytes is None
        # The LSTM of libraries of 2022 is only bounded.
        assert bool(plan.notes) == ("lstm" in name)
        assert plan.size_bytes >= max(run["min_working_arena_bytes"] for run in runs.values()), name


def test_several_kernel_sets_are_exact_only_if_they_agree() -> None:
    agreeing = own("cumsum_padv2")
    assert plan_arena(agreeing, kernels=[KernelSet.REFERENCE, KernelSet.CMSIS_NN], abi=EABI).method == "exact"
    differing = own("fully_connected_int8")
    plan = plan_arena(differing, kernels=[KernelSet.REFERENCE, KernelSet.CMSIS_NN], abi=EABI)
    assert (plan.method, plan.used_bytes, plan.kernels) == ("upper-bound", None, KernelSet.CMSIS_NN)


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
    plan = plan_arena(read_model((SHARED / "models" / name).read_bytes()))
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
    model = read_model((SHARED / "models" / f"{name}.tflite").read_bytes())
    plan = plan_arena(model, kernels=[kernels], abi=abi)
    assert plan.size_bytes >= EARLY[case]


@needs_truth
def test_planning_is_quick() -> None:
    for path in (SHARED / "models").glob("*.tflite"):
        model = read_model(path.read_bytes())
        started = time.process_time()
        plan_arena(model)
        assert time.process_time() - started < 0.1, path.name


# --- against TFLM on this host


def on_this_host(model: Model, capfd: pytest.CaptureFixture[str]) -> tuple[int, int]:
    """Head and tail as PyPI's tflite-micro prints them."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="PyPI's tflite-micro is missing")
    interpreter = runtime.Interpreter.from_bytes(model.data, arena_size=1 << 20)
    capfd.readouterr()
    interpreter.print_allocations()
    printed = capfd.readouterr().err
    head, tail = (int(re.search(rf"allocation {part} (\d+) bytes", printed)[1]) for part in ("head", "tail"))
    return head, tail


def check_on_this_host(model: Model, capfd: pytest.CaptureFixture[str]) -> None:
    """The head is that of every ABI; the tail is that of this build, with its records and compression."""
    head, tail = on_this_host(model, capfd)
    assert plan_arena(model, kernels=[KernelSet.REFERENCE], abi=LP64).head_bytes == head
    plan = plan_arena(model, kernels=[KernelSet.REFERENCE], abi=LP64_PYPI)
    assert (plan.head_bytes, plan.tail_bytes, plan.method) == (head, tail, "exact")


@pytest.mark.parametrize("name", FIGURES["models"])
def test_own_models_against_tflm_on_this_host(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    check_on_this_host(own(name), capfd)


@needs_truth
def test_public_models_against_tflm_on_this_host(capfd: pytest.CaptureFixture[str]) -> None:
    for _, model, _ in measured():
        check_on_this_host(model, capfd)


def test_single_operators_against_tflm_on_this_host(capfd: pytest.CaptureFixture[str]) -> None:
    for name, spec in single_operators().items():
        if "reference" in FIGURES["operators"][name]:
            check_on_this_host(read_model(serialize(spec)), capfd)


# --- every operator


# Callers need subgraphs; they are among the project's own models.
SIMPLE = sorted({*BUILTIN_METHODS, *CUSTOM_METHODS} - {"IF", "WHILE", "CALL_ONCE"})
METHODS = {"TFLite_Detection_PostProcess": "upper-bound"}
BY_GUESS = {*SIGNAL_OPERATORS, "ethos-u", "TFLite_Detection_PostProcess"}


def one_operator(name: str) -> Model:
    tensors = (TensorSpec("input", "INT8", (1, 4, 4, 4)), TensorSpec("output", "INT8", (1, 4, 4, 4)))
    return read_model(serialize(ModelSpec((GraphSpec(tensors, (0,), (1,), (OperatorSpec(name, (0, 0), (1,)),)),))))


@pytest.mark.parametrize("name", SIMPLE)
def test_every_operator_of_tflm_has_its_sizes(name: str) -> None:
    """An operator that the resolver knows and the planner does not would be planned by guess, with a note."""
    for kernels in (KernelSet.REFERENCE, KernelSet.REFERENCE_2023, KernelSet.CMSIS_NN, KernelSet.CMSIS_NN_PLAIN):
        for abi in (EABI, EABI_FULL_STRUCTS, ILP32, LP64):
            plan = plan_arena(one_operator(name), kernels=[kernels], abi=abi)
            assert bool(plan.notes) == (name in BY_GUESS)
            assert plan.method == METHODS.get(name, "estimate" if name in BY_GUESS else "exact")


def test_custom_operator_is_a_guess_and_says_so() -> None:
    plan = plan_arena(own("custom_operator"))
    assert plan.method == "estimate"
    (note,) = plan.notes
    assert note.startswith("operator MovingMedian: what it needs is not known; ")
    assert note.endswith("256 bytes of persistent memory and 32 bytes of scratch are assumed")


def test_bounds_say_which_operator() -> None:
    plan = plan_arena(own("convolution_int8"), kernels=[KernelSet.ESP_NN], abi=ILP32)
    assert plan.method == "upper-bound"
    assert "operator CONV_2D: its scratch with ESP-NN is a bound over all chips" in plan.notes
    plan = plan_arena(own("fully_connected_int8"), kernels=[KernelSet.CMSIS_NN_MVE], abi=EABI)
    assert plan.notes == (
        "operator FULLY_CONNECTED: sums of its weights are counted both as persistent memory and as scratch",
    )


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_other_kernel_sets_plan_too(path: Path) -> None:
    model = read_model(path.read_bytes())
    sizes = {kernels: plan_arena(model, kernels=[kernels]).size_bytes for kernels in KernelSet}
    assert plan_arena(model, kernels=KernelSet).size_bytes == max(sizes.values())


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_larger_structs_take_more(path: Path) -> None:
    model = read_model(path.read_bytes())

    def tail(abi: Abi) -> int:
        return plan_arena(model, abi=abi).tail_bytes

    assert tail(EABI) <= tail(ILP32) < tail(LP64)
    assert tail(EABI) < tail(EABI_FULL_STRUCTS)
    older = plan_arena(model, kernels=[KernelSet.REFERENCE_2023], abi=with_error_reporter(EABI))
    assert older.method == ("estimate" if path.stem == "custom_operator" else "upper-bound")


# --- what a plan tells beside the sizes


def test_a_plan_tells_when_most_is_alive() -> None:
    plan = plan_arena(own("convolution_int8"), kernels=[KernelSet.REFERENCE], abi=EABI)
    assert plan.scope_count == 7
    assert plan.peak_operator is not None
    assert (plan.peak_scope, plan.peak_operator.name) == (1, "CONV_2D")
    alive = [each.size_bytes for each in plan.placements if each.first <= plan.peak_scope <= each.last]
    assert sum(alive) == plan.lower_bound_bytes
    assert plan.overhead_bytes == plan.head_bytes - plan.lower_bound_bytes


def test_a_transform_is_as_long_as_its_output_says() -> None:
    """The audio front end of TFLM's micro_speech: a transform of 512 values, measured 2,836 bytes of state."""
    tensors = (TensorSpec("input", "INT16", (1, 480)), TensorSpec("output", "INT16", (1, 514)))
    spec = ModelSpec((GraphSpec(tensors, (0,), (1,), (OperatorSpec("SignalRfft", (0,), (1,)),)),))
    plan = plan_arena(read_model(serialize(spec)), kernels=[KernelSet.REFERENCE], abi=EABI)
    assert (plan.method, plan.head_bytes) == ("exact", 960 + 1024 + 1040)
    without = plan_arena(own("cumsum_padv2"), kernels=[KernelSet.REFERENCE], abi=EABI)
    assert plan.tail_bytes - without.tail_bytes > 2_836 - 512


def test_the_innermost_operator_is_the_peak() -> None:
    plan = plan_arena(own("while_subgraphs"), kernels=[KernelSet.REFERENCE], abi=EABI)
    assert plan.peak_operator is not None
    assert plan.peak_operator.subgraph > 0


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
    plan = plan_arena(read_model(serialize(with_plan(64, -1, -1, 64, -1, -1, 0))))
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
        plan_arena(read_model(serialize(spec)))
    assert caught.value.what == f"the model's own memory plan (OfflineMemoryAllocation) {what}"


# --- planner and verifier


def buffers() -> st.SearchStrategy[list[Buffer]]:
    def build(size: int, first: int, length: int) -> Buffer:
        return Buffer(0, 0, None, 16 * size, first, first + length)

    return st.lists(st.builds(build, st.integers(0, 20), st.integers(-1, 30), st.integers(0, 10)), max_size=40)


def plan_of(placements: list[Placement] | tuple[Placement, ...]) -> ArenaPlan:
    head = max((placement.end for placement in placements), default=0)
    return ArenaPlan(head, None, head, 0, 0, "upper-bound", KernelSet.REFERENCE, tuple(placements))


def as_tflm_places(buffers: list[Buffer]) -> list[int]:
    """GreedyMemoryPlanner written down plainly: each buffer looks at all that were placed before, by offset."""
    order = [index for index, buffer in enumerate(buffers) if buffer.offline_offset is not None]
    free = [index for index in reversed(range(len(buffers))) if buffers[index].offline_offset is None]
    placed: list[tuple[int, int]] = []
    for index in order + sorted(free, key=lambda index: -buffers[index].size_bytes):
        buffer = buffers[index]
        candidate = buffer.offline_offset or 0
        for offset, other in placed if buffer.offline_offset is None else ():
            if buffers[other].first > buffer.last or buffers[other].last < buffer.first:
                continue
            if offset - candidate >= buffer.size_bytes:
                break
            candidate = max(candidate, offset + buffers[other].size_bytes)
        placed.insert(bisect_right(placed, candidate, key=lambda entry: entry[0]), (candidate, index))
    return [offset for offset, _ in sorted(placed, key=lambda entry: entry[1])]


@settings(max_examples=300, derandomize=True, deadline=None)
@given(buffers())
def test_every_plan_is_sound(wanted: list[Buffer]) -> None:
    """Checked twice: by the verifier that runs in production, and pair by pair here."""
    placements = place(wanted).placements
    assert [placement.offset for placement in placements] == as_tflm_places(wanted)
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
    "overlap with a prescribed one": ([one(0, 64, 0, 2, prescribed=True), one(48, 32, 2, 3)], "overlaps another"),
    "prescribed over a planned one": ([one(0, 64, 0, 2), one(48, 32, 2, 3, prescribed=True)], "overlaps another"),
    "not aligned": ([one(8, 16, 0, 1)], "is misplaced in a head of 24 bytes"),
    "less than nothing": ([one(0, -16, 0, 1)], "has less than no bytes"),
    "before the arena": ([one(-16, 16, 0, 1)], "is misplaced in a head of 0 bytes"),
}


@pytest.mark.parametrize(("placements", "message"), UNSOUND.values(), ids=UNSOUND.keys())
def test_verifier_refuses(placements: list[Placement], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        verify(replace(plan_of(placements), size_bytes=4096))


def test_verifier_checks_the_bounds() -> None:
    good = plan_arena(own("convolution_int8"))
    with pytest.raises(PlanError, match="is misplaced"):
        verify(replace(good, head_bytes=good.head_bytes - 16))
    with pytest.raises(PlanError, match="do not hold"):
        verify(replace(good, size_bytes=good.head_bytes))
    with pytest.raises(PlanError, match="do not hold"):
        verify(replace(good, size_bytes=good.size_bytes + 4))


def test_verifier_lets_buffers_share_room_at_different_times() -> None:
    verify(plan_of([one(0, 64, 0, 2), one(0, 64, 3, 5), one(64, 16, 0, 5)]))


def prescribed_among(buffers: list[Buffer]) -> list[Buffer]:
    return [
        buffer._replace(offline_offset=16 * (index % 7)) if index % 3 == 0 else buffer
        for index, buffer in enumerate(buffers)
    ]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(buffers())
def test_prescribed_buffers_come_first(wanted: list[Buffer]) -> None:
    mixed = prescribed_among(wanted)
    assert [placement.offset for placement in place(mixed).placements] == as_tflm_places(mixed)
    verify(plan_of(place(mixed).placements))


GRAPHS: dict[str, Callable[[int], Buffer]] = {
    "chain": lambda index: Buffer(0, index, None, 16 * (1 + index * 7919 % 97), index, index + 1),
    "branches": lambda index: Buffer(0, index, None, 16 * (1 + index * 7919 % 97), index, index + 1 + index * 31 % 40),
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_ten_thousand_buffers_are_placed_at_once(graph: str) -> None:
    wanted = [GRAPHS[graph](index) for index in range(10_000)]
    started = time.process_time()
    packing = place(wanted)
    verify(plan_of(packing.placements))
    assert packing.same_as_tflm
    assert time.process_time() - started < 1


def test_what_lives_together_beyond_measure_is_stacked() -> None:
    """TFLM itself would take minutes for it."""
    wanted = [Buffer(0, index, None, 32, 0, 9) for index in range(5_000)]
    wanted[7] = wanted[7]._replace(offline_offset=160)
    started = time.process_time()
    packing = place(wanted)
    verify(plan_of(packing.placements))
    assert not packing.same_as_tflm
    assert time.process_time() - started < 2
    assert max(placement.end for placement in packing.placements) == 32 * 5_000


def test_thousands_of_prescribed_buffers_are_verified_at_once() -> None:
    wanted = [Buffer(0, index, None, 32, 0, 9, 16 * index if index % 2 else None) for index in range(16_000)]
    started = time.process_time()
    verify(plan_of(place(wanted).placements))
    assert time.process_time() - started < 2


def test_an_arena_beyond_all_addresses_is_refused() -> None:
    tensors = tuple(TensorSpec(f"large {index}", "INT8", (1, 2**30)) for index in range(2))
    graph = GraphSpec(tensors, (0,), (1,), (OperatorSpec("RELU", (0,), (1,)),))
    with pytest.raises(ModelError, match=r"needs a tensor arena of 2,147,48[0-9,]+ bytes, allowed are 2,147,483,647"):
        plan_arena(read_model(serialize(ModelSpec((graph,)))))


def test_plans_are_the_same_every_time() -> None:
    model = own("streaming_int8")
    assert plan_arena(model) == plan_arena(model)

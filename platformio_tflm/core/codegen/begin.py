"""begin() of ``<tflm/<stem>.h>``: in an arena of its own, in the shared one, or in one that the user gives.

begin() must not crash where the arena is too small, though TFLM may (see CHECKED_ARENA in begin_text.py). Which check
that takes is decided here:

- The arena is as large as the plan or larger: none. An exact plan is what is needed, a bound is more. But an estimate
  may be less: TFLM tries, through a CheckedArena.
- The plan is exact, or was measured, and the arena is smaller: begin() refuses. (The build has refused already.)
- The plan is a bound and the user has set a smaller arena: it may do, so TFLM tries, through a CheckedArena.
- An arena that is given at run time: refused below the plan. A bound may refuse what would do; whoever wants smaller
  arenas tried sets custom_tflm_arena below the bound, and has the third case for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from platformio_tflm.core.codegen import begin_text as text
from platformio_tflm.core.codegen.source import ArenaNeed, ModelSource, fill
from platformio_tflm.core.model import Model

if TYPE_CHECKING:
    from platformio_tflm.core.runtime import Runtime

ARENA_ALIGNMENT_BYTES = 16

_CREATE = "::tflite::MicroAllocator::Create"
_CREATE_CHECKED = "detail::CheckedArena::create"
_REPORTER = "::tflite::GetMicroErrorReporter()"


@dataclass(frozen=True)
class Begin:
    """Parts of the header. headers: of the library. support: before the class. public, private: in the class.

    why_not: how AllocateTensors() can fail. state_declared, state_defined: more members of the model's state.
    stop: what more stop() has to do.
    """

    headers: tuple[str, ...]
    support: str
    public: str
    private: str
    why_not: str
    state_declared: str = ""
    state_defined: str = ""
    stop: str = ""


def begin_code(source: ModelSource, runtime: Runtime) -> Begin:
    """The parts that depend on the arena."""
    return _Writer(source, runtime).begin()


class _Writer:
    def __init__(self, source: ModelSource, runtime: Runtime) -> None:
        self._source = source
        self._runtime = runtime
        self._shared = source.shared_arena
        self._resources = len(source.model.resource_names())
        need = self._shared.need if self._shared else source.arena_need
        small = need is not None and (source.arena_size_bytes or 0) < need.size_bytes
        tried = (small and _is_bound(need)) or (need is not None and not need.is_sure)
        self._checked = tried and runtime.arena_allocator is not None
        self._refused = small and not self._checked
        self._given_checked = self._checked and _is_bound(source.arena_need)

    def begin(self) -> Begin:
        return Begin(
            headers=tuple(self._headers()),
            support=self._checked_arena() + self._shared_arena(),
            public=(self._public_shared() if self._shared else self._public_own()) + self._public_given(),
            private=self._private(),
            why_not=self._why_not(),
            state_declared=text.TENANT_DECLARED if self._shared else "",
            state_defined=self._fill(text.TENANT_DEFINED) if self._shared else "",
            stop="    State::runs_in_shared_arena = false;\n" if self._shared else "",
        )

    def _why_not(self) -> str:
        need = self._shared.need if self._shared else self._source.arena_need
        if self._checked or need is None:
            return "the arena is too small (raise custom_tflm_arena), or an operator refuses its tensors"
        return f"an operator refuses its tensors, or the arena needs more than the {need.size_bytes} bytes planned"

    @property
    def _with_allocator(self) -> bool:
        return bool(self._shared or self._resources or self._checked)

    def _headers(self) -> list[str]:
        headers = []
        if self._with_allocator:
            headers.append(self._runtime.allocator_header)
        if self._resources:
            headers.append(self._runtime.resource_variable_header)
        if self._checked and self._runtime.arena_allocator:
            headers += ["setjmp.h", *self._runtime.arena_allocator.headers]
        return headers

    def _checked_arena(self) -> str:
        allocator = self._runtime.arena_allocator
        if not self._checked or allocator is None:
            return ""
        return fill(
            text.CHECKED_ARENA,
            ALLOCATOR=allocator.name,
            BASE_REPORTER=f"{_REPORTER}, " if allocator.takes_error_reporter else "",
            CREATE_REPORTER=self._allocator_reporter(),
        )

    def _shared_arena(self) -> str:
        if not self._shared:
            return ""
        arena = f"{self._shared.name}, sizeof({self._shared.name})"
        return fill(text.SHARED_ARENA, CREATE_SHARED=self._create(arena, checked=self._checked))

    def _create(self, arena: str, *, checked: bool) -> str:
        return f"{_CREATE_CHECKED}({arena})" if checked else f"{_CREATE}({arena}{self._allocator_reporter()})"

    def _allocator_reporter(self) -> str:
        return f", {_REPORTER}" if self._runtime.allocator_takes_error_reporter else ""

    def _public_own(self) -> str:
        body = self._refusal() if self._refused else self._fill(text.BODY_OWN, START=self._start_given())
        return fill(text.BEGIN_OWN, BODY=body)

    def _public_shared(self) -> str:
        keeps_state = _keeps_state(self._source.model)
        body = fill(
            text.BODY_SHARED,
            ALREADY="" if keeps_state else text.ALREADY,
            START="start_shared_checked" if self._checked else "start_shared",
        )
        return fill(
            text.BEGIN_SHARED,
            BODY=self._refusal() if self._refused else body,
            AGAIN=text.AGAIN_WITH_STATE if keeps_state else text.AGAIN_WITHOUT_STATE,
        )

    def _refusal(self) -> str:
        need = self._shared.need if self._shared else self._source.arena_need
        return fill(text.REFUSED, ARENA=self._source.arena_size_bytes or 0, NEED=need.size_bytes if need else 0)

    def _public_given(self) -> str:
        need = self._source.arena_need
        refuses = need is not None and need.size_bytes > 0 and not self._given_checked
        too_small = fill(text.TOO_SMALL, WHO_NEEDS=f"the model needs {'up to ' if _is_bound(need) else ''}")
        return fill(
            text.BEGIN_GIVEN,
            ALIGNMENT=ARENA_ALIGNMENT_BYTES,
            LEAST="One of less than kArenaNeeded bytes is refused." if refuses else "One that is too small is refused.",
            TOO_SMALL=too_small if refuses else "",
            START=self._start_given(),
        )

    def _start_given(self) -> str:
        return "start_checked" if self._given_checked else "start"

    def _private(self) -> str:
        parts = []
        if self._given_checked:
            parts.append(fill(text.START_CHECKED, BESIDE=_beside(self._source.arena_need)))
        if self._shared and self._checked:
            need = self._shared.need
            parts.append(fill(text.SHARED_CHECKED, SHARED_NEED=need.size_bytes, BESIDE=_beside(need)))
        if self._shared:
            parts.append(text.SHARED)
        parts.append(self._start())
        return "".join(parts)

    def _start(self) -> str:
        return self._fill(
            text.START_WITH_ALLOCATOR if self._with_allocator else text.START_WITH_ARENA,
            CHECK=self._fill(text.CHECK),
            CREATE=self._create("arena, size", checked=self._given_checked),
            RESOURCES=self._fill(text.RESOURCES) if self._resources else "",
            VARIABLES=", variables" if self._resources else "",
            REPORTER=f", {_REPORTER}" if self._runtime.interpreter_takes_error_reporter else "",
        )

    def _fill(self, template: str, **values: object) -> str:
        source = self._source
        return fill(template, NAME=source.name, CLASS=source.class_name, ARENA_NAME=source.arena_name, **values)


def _is_bound(need: ArenaNeed | None) -> bool:
    return need is not None and need.is_bound


def _beside(need: ArenaNeed | None) -> str:
    """What the figure of the plan is to one who needs more than there is."""
    return ", at most " if need is None or need.is_sure else ": the estimate was "


def _keeps_state(model: Model) -> bool:
    """Whether an inference may depend on those before it. Of custom operators nothing is known."""
    tensors = (tensor for subgraph in model.subgraphs for tensor in subgraph.tensors)
    codes = (operator.code for subgraph in model.subgraphs for operator in subgraph.operators)
    return (
        any(tensor.is_variable for tensor in tensors)
        or bool(model.resource_names())
        or any(code.custom or code.name == "CALL_ONCE" for code in codes)
    )

"""Before the compiler: read and plan the models, choose what runs them, generate their code.

No printing, no SCons: the build and the command line call the same functions. This part runs in every ``pio run``, so
it imports nothing of what only a measured link needs (measure.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from platformio_tflm.core import codegen
from platformio_tflm.core.arena import ArenaPlan, plan_upper_bound
from platformio_tflm.core.codegen import ModelSource, file_names
from platformio_tflm.core.model import Model
from platformio_tflm.core.ops import check_model
from platformio_tflm.core.runtime import Runtime, read_runtime
from platformio_tflm.core.tflite import read_model
from platformio_tflm.errors import TflmError, UsageError
from platformio_tflm.files import ModelFile
from platformio_tflm.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

ARENA_ALIGNMENT_BYTES = 16


@dataclass(frozen=True)
class PlannedModel:
    """One model with everything that is known before it is compiled.

    name: the C identifier all generated names begin with; path: as shown; arena_bytes: what is reserved for it.
    """

    name: str
    path: str
    location: Path
    sha256: str
    model: Model
    plan: ArenaPlan
    arena_bytes: int
    arena_method: str

    @property
    def source(self) -> ModelSource:
        return ModelSource(
            name=self.name,
            class_name=codegen.class_name(self.name),
            path=self.path,
            sha256=self.sha256,
            model=self.model,
            arena_size_bytes=self.arena_bytes,
            arena_method=self.arena_method,
        )

    def describe(self, *, with_arena: bool) -> str:
        count = len({operator.code.index for operator in self.model.main.operators})
        text = f"{self.path}: {self.model.size_bytes:,} bytes, {count} kinds of operator"
        return f"{text}, arena {self.arena_bytes:,} bytes ({self.arena_method})" if with_arena else text


@dataclass(frozen=True)
class RuntimeChoice:
    """What runs the models. kind: tflm or data; optimize: the level the library's own files are compiled with."""

    kind: str
    library: Runtime | None = None
    optimize: str = ""
    path: str = ""

    def describe(self) -> str:
        if self.library is None:
            return "data (no TensorFlow Lite Micro library is linked: the model's bytes, no inference)"
        return f"tflm: {self.library.name}, interface of {self.library.api}, its files at {self.optimize}"


DATA_ONLY = RuntimeChoice("data")


def plan_models(files: Sequence[ModelFile], settings: Settings) -> tuple[PlannedModel, ...]:
    """Read and plan every model. Errors: ModelError; UsageError when two models would share a name."""
    models = tuple(_plan_model(file, settings) for file in files)
    _refuse_same_names(models)
    _refuse_unknown_names(models, settings)
    return models


def _plan_model(file: ModelFile, settings: Settings) -> PlannedModel:
    name = codegen.identifier(PurePosixPath(file.path).stem)
    try:
        model = read_model(file.data)
        plan = plan_upper_bound(model)
    except TflmError as error:
        raise error.located(file.path) from None
    size_bytes, method = _arena_size(plan, settings, name)
    digest = hashlib.sha256(file.data).hexdigest()
    return PlannedModel(name, file.path, file.location, digest, model, plan, size_bytes, method)


def _arena_size(plan: ArenaPlan, settings: Settings, name: str) -> tuple[int, str]:
    """Bytes to reserve, and how they were found: what the user set, or the plan and the margin."""
    chosen = settings.arena_bytes(name)
    if chosen is not None:
        return chosen, "set"
    margin_bytes = settings.arena_margin.of(plan.size_bytes) if settings.arena_margin else 0
    size_bytes = plan.size_bytes + margin_bytes
    return -(-size_bytes // ARENA_ALIGNMENT_BYTES) * ARENA_ALIGNMENT_BYTES, plan.method


def _refuse_same_names(models: Sequence[PlannedModel]) -> None:
    seen: dict[str, str] = {}
    for model in models:
        # Windows and macOS would put my_model.h and My_Model.h into one file.
        other = seen.setdefault(model.name.lower(), model.path)
        if other != model.path:
            raise UsageError(
                f"{other} and {model.path} would both be called {model.name} in the generated code",
                where="custom_tflm_models",
                hint="Rename one of them, or name the one to use in custom_tflm_models.",
            )


def _refuse_unknown_names(models: Sequence[PlannedModel], settings: Settings) -> None:
    known = {model.name for model in models}
    unknown = [name for name, _ in settings.arena if name and name not in known]
    if unknown and models:
        raise UsageError(
            f"custom_tflm_arena names {', '.join(unknown)}, which is no model of this environment",
            where="platformio.ini",
            hint=f"The models are {', '.join(sorted(known))}.",
        )


def read_library(reader: Callable[[str], bytes | None], name: str, version: str) -> Runtime:
    """Errors: LibraryError when the headers are not understood."""
    return read_runtime(reader, name, version)


def check_models(models: Sequence[PlannedModel], runtime: RuntimeChoice, settings: Settings) -> None:
    """Errors: UnsupportedError with everything of the first model that the linked library cannot run."""
    if runtime.library is None:
        return
    for model in models:
        try:
            check_model(model.model, runtime.library, dict(settings.custom_ops))
        except TflmError as error:
            raise error.located(model.path) from None


def generate_headers(models: Sequence[PlannedModel], runtime: RuntimeChoice, settings: Settings) -> dict[str, str]:
    """File name below $BUILD_DIR/tflm -> text; the same for the same input, on every machine."""
    texts: dict[str, str] = {}
    operators = dict(settings.custom_ops)
    for model in models:
        names = file_names(model.name)
        texts[names.data_header] = codegen.data_header(model.source)
        texts[names.inference_header] = codegen.inference_header(model.source, runtime.library)
        if runtime.library is not None:
            texts[names.resolver_header] = codegen.resolver_header(model.source, runtime.library, operators)
    if models and runtime.library is not None:
        sources = [model.source for model in models]
        union = codegen.union_resolver_header(sources, runtime.library, operators)
        texts[f"include/{codegen.UNION_RESOLVER_FILE}"] = union
    return texts


def data_source(model: PlannedModel, runtime: RuntimeChoice, strategy: str, *, incbin_name: str) -> str:
    """Text of ``<stem>_data.cc``. strategy: incbin or string."""
    with_arena = runtime.kind == "tflm"
    return codegen.data_source(model.source, strategy=strategy, incbin_name=incbin_name, arena=with_arena)

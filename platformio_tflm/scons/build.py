"""One environment's build: which models, which headers, and the nodes that SCons keeps up to date."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from platformio_tflm import __version__, pipeline
from platformio_tflm.errors import ModelError, UsageError
from platformio_tflm.extras import require_jinja2
from platformio_tflm.files import ModelFile, find_models, read_model_file, remove_others, write_if_changed
from platformio_tflm.pipeline import NamedModel, PlannedModel, RuntimeChoice
from platformio_tflm.scons import console, link, probe, targets
from platformio_tflm.scons.board import board_of
from platformio_tflm.scons.compiler import data_strategy
from platformio_tflm.scons.libraries import (
    TflmLibrary,
    build_key,
    kernels_of,
    linked_tflm_library,
    project_environment,
    set_optimization,
    share_static_memory,
    struct_sizes,
)
from platformio_tflm.scons.plan import Plan
from platformio_tflm.settings import PREFIX, read_settings


class Build:
    """One environment. Made while the scripts load; declare() runs when the libraries to be linked are known.

    Errors: UsageError for options and for models that cannot be found or told apart by name.
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self.project_dir = Path(env.subst("$PROJECT_DIR"))
        self.output_dir = Path(env.subst("$BUILD_DIR")) / "tflm"
        options = env.GetProjectOptions(as_dict=True)
        # PlatformIO hands multi-line options over as lists or as text, by their kind; ours are always text.
        self.settings = read_settings({name: str(value) for name, value in options.items() if name.startswith(PREFIX)})
        self.paths = find_models(self.project_dir, self.settings.models, required=f"{PREFIX}models" in options)
        self.lock = probe.read_lock(self.project_dir)
        if probe.asked_for():
            probe.claim_program(env)
        self._reserve_headers()

    def _reserve_headers(self) -> None:
        """Put empty headers where there are none yet, and take those of models that are gone away.

        The library dependency finder looks for included files before the linked library is known and so before the
        headers can be written, and SCons remembers for the rest of the run that a file was not there: objects would
        not depend on the headers they include, and the next build would compile them once more. It remembers as well
        that a file was there, and would refuse to compile what includes it under __has_include.
        """
        paths = [self.output_dir / name for name in pipeline.header_names([path.stem for path in self.paths])]
        for path in paths:
            if not path.is_file():
                write_if_changed(path, b"")
        for folder in ("include", "include/tflm"):
            remove_others(self.output_dir / folder, set(paths))

    def declare(self, program: Any, sources: list[Any]) -> list[Any]:
        """Write headers, declare nodes; returns the program's sources, with the models' objects among them."""
        plan = self._plan()
        plan.keep(self.env)
        self._write_headers(plan)
        self._show_headers()
        targets.add_inspect(self.env, plan)
        self._check_room(plan)
        if probe.asked_for():
            sources = probe.declare_probe(self.env, sources, plan)
        if not plan.models:
            return sources
        if not self.env.IsIntegrationDump():
            if "html" in self.settings.report:
                require_jinja2("custom_tflm_report = html")
            self._announce(plan)
        objects = [self._object(model, plan) for model in plan.models]
        if not probe.asked_for():
            targets.add_report(self.env, link.declare_report(self.env, program, plan))
        targets.add_arena(self.env, probe.target_dependencies(self.env, program))
        return [*sources, *objects]

    def _plan(self) -> Plan:
        settings = self.settings
        read = pipeline.read_models([read_model_file(path, self.project_dir) for path in self.paths])
        runtime = self._choose_runtime(read) if read else pipeline.DATA_ONLY
        models = pipeline.plan_models(read, settings, runtime, self.lock)
        pipeline.check_models(models, runtime, settings)
        board = board_of(self.env, settings, self.project_dir) if models else None
        return Plan(self.project_dir, self.output_dir, settings, models, runtime, board)

    def _check_room(self, plan: Plan) -> None:
        """Before the first file is compiled. An IDE gets its answer, a model can be looked at and an arena measured.

        Errors: LimitExceededError, unless custom_tflm_over_limit makes it a warning.
        """
        if plan.board is None or self.env.IsIntegrationDump() or probe.asked_for() or targets.only_looks():
            return
        if pipeline.surely_fit(plan.models, plan.runtime, plan.settings, plan.board):
            return
        from platformio_tflm.room import no_room  # noqa: PLC0415 - with it all of the report, for the few that need it

        lack = no_room(plan.models, plan.runtime, plan.settings, plan.board)
        if lack is None:
            return
        if lack.stops:
            raise lack.error
        console.warn(str(lack.error))

    def _choose_runtime(self, models: Sequence[NamedModel]) -> RuntimeChoice:
        settings = self.settings
        library, idle = linked_tflm_library(self.env)
        if settings.runtime == "data" or (library is None and settings.runtime == "auto"):
            if idle and settings.runtime == "auto":
                console.warn(
                    f"{' and '.join(idle)} lies in this environment but nothing includes it, so it is not linked; "
                    f"add it to lib_deps to run the model with it."
                )
            return pipeline.DATA_ONLY
        if library is None:
            raise _no_library(idle)
        return self._use(library, pipeline.operator_names(models))

    def _use(self, library: TflmLibrary, operators: Sequence[str]) -> RuntimeChoice:
        runtime = pipeline.read_library(library.reader(), library.name, library.version)
        level = set_optimization(library, self.settings.optimize)
        share_static_memory(library, runtime.static_memory)
        # The library's files are read for it, which only a project that measures shall pay for.
        wanted = self.lock is not None or probe.asked_for()
        microcontroller = self._microcontroller()
        key = build_key(library, microcontroller) if wanted else None
        kernels, abi = kernels_of(library, operators, microcontroller), struct_sizes(library, runtime)
        return RuntimeChoice("tflm", runtime, level, kernels, abi, key)

    def _microcontroller(self) -> str:
        return str(self.env.BoardConfig().get("build.mcu", "")) if "BOARD" in self.env else ""

    def _announce(self, plan: Plan) -> None:
        console.say(f"TensorFlow Lite Micro: runtime {plan.runtime.describe()}")
        for model in plan.models:
            console.say(f"|-- {model.describe(with_arena=plan.runtime.kind == 'tflm')}")
            for note in model.notes:
                console.say(f"|   note: {note}")
            for text in model.warnings:
                console.warn(f"{model.path}: {text}")

    def _write_headers(self, plan: Plan) -> None:
        texts = pipeline.generate_headers(plan.models, plan.runtime, plan.settings)
        paths = {self.output_dir / name: text for name, text in texts.items()}
        for path, text in paths.items():
            write_if_changed(path, text.encode())
        sources = {self.output_dir / "src" / name for model in plan.models for name in _output_names(model)}
        reports = {self.output_dir / f"report.{suffix}" for suffix in ("txt", "json", "html") if plan.models}
        for folder in ("include", "include/tflm", "src", "."):
            remove_others(self.output_dir / folder, {*paths, *sources, *reports})

    def _show_headers(self) -> None:
        """Give the project's files and its libraries the include folder, as way B does before any of them exists.

        As a library, the plugin is one among others: PlatformIO has made some environments before it runs, and hands
        the folder on to none of the libraries, nor to the project if the plugin lies in lib/ and nothing includes it.
        """
        scopes = [project_environment(), *(builder.env for builder in self.env.GetLibBuilders())]
        for scope in scopes:
            if scope is not None:
                scope.AppendUnique(CPPPATH=[str(self.output_dir / "include")])

    def _object(self, model: PlannedModel, plan: Plan) -> Any:
        source_dir = self.output_dir / "src"
        text, blob = self.env.Command(
            [str(source_dir / name) for name in _generated_names(model)],
            # SCons would take a $ in the user's file name for a variable.
            [str(model.location).replace("$", "$$"), self.env.Value(self._signature(model, plan))],
            self.env.VerboseAction(_write_data_source, "Generating ${TARGETS[0]}"),
        )
        # Under -flto the assembler would meet .incbin at link time, in another folder; data gains nothing from LTO.
        # In CCFLAGS, which stand after CXXFLAGS on the command line: the last word counts.
        flags = [*self.env.get("CCFLAGS", []), "-fno-lto"]
        # Named, because under Arduino PlatformIO would call it .cc.o.
        (node,) = self.env.Object(
            str(source_dir / f"{model.name}_data.o"), text, CPPPATH=[str(source_dir)], CCFLAGS=flags
        )
        self.env.Depends(node, blob)
        return node

    def _signature(self, model: PlannedModel, plan: Plan) -> str:
        """Everything but the model's bytes that shapes the generated source."""
        compiler = self.env.subst("$CXX $CXXFLAGS $CCFLAGS")
        arena = (model.arena_bytes, model.shared_arena)
        parts = (__version__, model.name, model.path, model.sha256, arena, plan.runtime.kind, compiler)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def _output_names(model: PlannedModel) -> list[str]:
    return [*_generated_names(model), f"{model.name}_data.o"]


def _generated_names(model: PlannedModel) -> list[str]:
    # Not .bin: the assembler looks into the project folder first, where a file of that name may well lie.
    return [f"{model.name}_data.cc", f"{model.name}_data.incbin"]


def _no_library(idle: tuple[str, ...]) -> UsageError:
    found = f"{' and '.join(idle)} is there, but nothing includes it; " if idle else ""
    return UsageError(
        "custom_tflm_runtime = tflm, but no TensorFlow Lite Micro library is linked",
        where="platformio.ini",
        hint=f"{found}add one to lib_deps, or set custom_tflm_runtime = data for the array alone.",
    )


@console.build_action
def _write_data_source(target: list[Any], source: list[Any], env: Any) -> None:
    """The model's .cc and, for .incbin, its bytes under a name that no assembler stumbles over."""
    plan = Plan.of(env)
    model = plan.model_of(target[0])
    current = read_model_file(Path(source[0].get_abspath()), plan.project_dir)
    _refuse_changed(model, current)
    strategy = data_strategy(env)
    text = pipeline.data_source(model, plan.runtime, strategy, incbin_name=Path(str(target[1])).name)
    write_if_changed(Path(target[1].get_abspath()), current.data)
    write_if_changed(Path(target[0].get_abspath()), text.encode())


def _refuse_changed(model: PlannedModel, current: ModelFile) -> None:
    if hashlib.sha256(current.data).hexdigest() != model.sha256:
        raise ModelError(
            "was replaced while the build was running, so its headers describe other bytes",
            where=model.path,
            hint="Run the build again.",
        )

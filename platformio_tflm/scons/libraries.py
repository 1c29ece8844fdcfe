"""The TensorFlow Lite Micro library among those that PlatformIO links into this environment."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformio_tflm.core.arena_abi import EABI, EABI_FULL_STRUCTS, ILP32, ILP32_FULL_STRUCTS, Abi, with_error_reporter
from platformio_tflm.core.arena_operator import Kernels, KernelSet
from platformio_tflm.errors import UsageError

if TYPE_CHECKING:
    from platformio_tflm.core.arena_sources import LibrarySources
    from platformio_tflm.core.lock import BuildKey
    from platformio_tflm.core.runtime import Runtime, StaticMemory

_STATIC_MEMORY = "TF_LITE_STATIC_MEMORY"
_OPTIMIZATION = {"speed": "-O2", "size": "-Os"}
# CMSIS-NN has kernels of their own for cores with Arm's vector extension, and simpler ones for cores without DSP.
_CMSIS_NN_OF_CORE = (
    (re.compile(r"-mcpu=cortex-m(?:52|55|85)\b"), KernelSet.CMSIS_NN_MVE),
    (re.compile(r"-mcpu=(?:cortex-m(?:0|0plus|1|3|23)\b|\S+\+nodsp)"), KernelSet.CMSIS_NN_PLAIN),
    (re.compile(r"-mcpu=cortex-m(?:4|7|33|35p)\b"), KernelSet.CMSIS_NN),
)
_ALL_CMSIS_NN = (KernelSet.CMSIS_NN, KernelSet.CMSIS_NN_MVE)
# Macros by which a library's files are compiled, and the kernels that these mean (core.arena_sources).
_OPTIMIZED = {"CMSIS_NN": "cmsis-nn", "ESP_NN": "esp-nn"}
_MICRO_FOLDER = "tensorflow/lite/micro"
_MANIFESTS = ("library.json", "library.properties")
_SOURCE_SUFFIXES = frozenset((".h", ".c", ".cc", ".cpp", ".S"))
_FLAG_SCOPES = ("CCFLAGS", "CFLAGS", "CXXFLAGS")


@dataclass(frozen=True)
class TflmLibrary:
    """A linked library. builder: PlatformIO's, whose environment compiles the library's files."""

    name: str
    version: str
    path: Path
    include_roots: tuple[Path, ...]
    builder: Any

    def reader(self) -> Callable[[str], bytes | None]:
        """Reads a header by the path that an #include names; None if the library has no such header."""
        return _reader_of(self.include_roots)

    def source_reader(self) -> Callable[[str], bytes | None]:
        """The same for sources, with all folders that the library is compiled with: CMSIS-NN may be one of its own."""
        env = self.builder.env
        folders = (Path(env.subst(str(folder))) for folder in env.get("CPPPATH", []))
        return _reader_of(tuple(dict.fromkeys((*self.include_roots, *folders))))


def _reader_of(roots: Sequence[Path]) -> Callable[[str], bytes | None]:
    def read(name: str) -> bytes | None:
        for root in roots:
            path = root / name
            if path.is_file():
                return path.read_bytes()
        return None

    return read


def linked_tflm_library(env: Any) -> tuple[TflmLibrary | None, tuple[str, ...]]:
    """The library to be linked, and the names of those that lie in the environment without being linked.

    Errors: UsageError if two are linked.
    """
    libraries = [library for library in map(_as_tflm, env.GetLibBuilders()) if library is not None]
    linked = [library for library in libraries if library.builder.is_dependent]
    idle = tuple(library.name for library in libraries if not library.builder.is_dependent)
    if len(linked) > 1:
        raise _two_libraries(linked)
    return (linked[0] if linked else None), idle


def _as_tflm(builder: Any) -> TflmLibrary | None:
    roots = tuple(Path(builder.env.subst(str(folder))) for folder in builder.get_include_dirs())
    if not any((root / _MICRO_FOLDER).is_dir() for root in roots):
        return None
    from platformio_tflm.core.runtime import INTERPRETER_HEADER, RESOLVER_HEADER  # noqa: PLC0415 - of TFLM only

    if not any((root / RESOLVER_HEADER).is_file() and (root / INTERPRETER_HEADER).is_file() for root in roots):
        return None
    return TflmLibrary(str(builder.name), str(builder.version or ""), Path(builder.path), roots, builder)


def _two_libraries(linked: list[TflmLibrary]) -> UsageError:
    names = " and ".join(f"{library.name} {library.version}".strip() for library in linked)
    return UsageError(
        f"{len(linked)} TensorFlow Lite Micro libraries are linked: {names}",
        where="platformio.ini",
        hint=f"Keep one of them in lib_deps, or put the other's name into lib_ignore, for example {linked[-1].name}.",
    )


def set_optimization(library: TflmLibrary, optimize: str) -> str:
    """Give the library's own files -O2 or -Os; returns the level that its files are compiled with."""
    env = library.builder.env
    wanted = _OPTIMIZATION.get(optimize)
    if wanted is None:
        return _current_level(env)
    for scope in _FLAG_SCOPES:
        env[scope] = [flag for flag in env.get(scope, []) if not _is_level(flag)]
    env.Append(CCFLAGS=[wanted])
    return wanted


def _is_level(flag: Any) -> bool:
    return isinstance(flag, str) and flag.startswith("-O") and len(flag) <= 6


def _current_level(env: Any) -> str:
    flags = [flag for scope in ("CXXFLAGS", "CCFLAGS") for flag in env.get(scope, []) if _is_level(flag)]
    return flags[-1] if flags else "-O0"


def share_static_memory(library: TflmLibrary, kind: StaticMemory) -> None:
    """Give the project's files, and those of its other libraries, the library's choice of TF_LITE_STATIC_MEMORY.

    The macro changes the layout of TfLiteTensor: a file compiled otherwise reads other fields than the library
    writes. Errors: UsageError where the project defines it and the library's files must not have it.
    """
    from platformio_tflm.core.runtime import StaticMemory  # noqa: PLC0415 - only a linked library needs it

    project = project_environment()
    if project is None or kind is StaticMemory.BUILT_IN:
        return
    in_library, in_project = (_defines(env, _STATIC_MEMORY) for env in (library.builder.env, project))
    if in_library and kind is StaticMemory.FORBIDDEN:
        raise UsageError(
            f"{library.name} does not compile with {_STATIC_MEMORY}",
            where="platformio.ini",
            hint=f"Take -D{_STATIC_MEMORY} out of build_flags.",
        )
    # Where the project alone has it, src_build_flags has put it there; all must then be compiled the same way.
    if in_library or in_project:
        for scope in (project, *(builder.env for builder in project.GetLibBuilders() if builder.is_dependent)):
            if not _defines(scope, _STATIC_MEMORY):
                scope.Append(CPPDEFINES=[_STATIC_MEMORY])


def struct_sizes(library: TflmLibrary, runtime: Runtime) -> Abi:
    """The layout that the library's files are compiled with."""
    from platformio_tflm.core.runtime import Generation, StaticMemory  # noqa: PLC0415 - only a linked library needs it

    env = library.builder.env
    small = runtime.static_memory is StaticMemory.BUILT_IN or _defines(env, _STATIC_MEMORY)
    short_enumerations = _is_arm(env) and "-fno-short-enums" not in _flags(env)
    abi, full = (EABI, EABI_FULL_STRUCTS) if short_enumerations else (ILP32, ILP32_FULL_STRUCTS)
    abi = abi if small else full
    if runtime.generation is Generation.ERROR_REPORTER:
        abi = with_error_reporter(abi)
    return abi


def kernels_of(library: TflmLibrary, operators: Sequence[str], microcontroller: str) -> tuple[Kernels, ...]:
    """The kernels that may be linked for *operators*; several where it is not certain which, or what they need.

    A macro says that the optimized kernels are compiled; their files alone only that they may be.
    """
    from platformio_tflm.core.arena_esp_nn import esp_nn_of  # noqa: PLC0415 - only a linked library needs these
    from platformio_tflm.core.arena_library import knowledge, library_kernels  # noqa: PLC0415
    from platformio_tflm.core.arena_sources import CMSIS_NN, ESP_NN, REFERENCE, LibrarySources  # noqa: PLC0415

    env, sources = library.builder.env, LibrarySources(library.source_reader())
    known = knowledge()
    optimized: dict[str, tuple[KernelSet | None, ...]] = {
        REFERENCE: (None,),
        CMSIS_NN: _cmsis_nn_of(_flags(env)),
        ESP_NN: (esp_nn_of(microcontroller),),
    }
    found: list[Kernels] = []
    for kind in _kinds(env, sources, operators):
        for kernel_set in optimized[kind]:
            found += library_kernels(sources, operators, kind, known, optimized=kernel_set)
    return tuple(dict.fromkeys(found))


def _kinds(env: Any, sources: LibrarySources, operators: Sequence[str]) -> tuple[str, ...]:
    from platformio_tflm.core.arena_library import linked_kernels  # noqa: PLC0415 - only a linked library needs it

    for macro, kind in _OPTIMIZED.items():
        if _defines(env, macro):
            return (kind,)
    return tuple(
        dict.fromkeys(kind for each in _OPTIMIZED.values() for kind in linked_kernels(sources, operators, each))
    )


def _cmsis_nn_of(flags: str) -> tuple[KernelSet, ...]:
    return next(((kernels,) for core, kernels in _CMSIS_NN_OF_CORE if core.search(flags)), _ALL_CMSIS_NN)


def _is_arm(env: Any) -> bool:
    return Path(str(env.subst("$CC"))).name.startswith("arm-") or "-mcpu=cortex-" in _flags(env)


def _flags(env: Any) -> str:
    return str(env.subst("$CCFLAGS $CXXFLAGS"))


def build_key(library: TflmLibrary, microcontroller: str) -> BuildKey:
    """What a measured arena hangs on beside the model: the library's files, the core, and some flags."""
    from platformio_tflm.core.lock import (  # noqa: PLC0415 - only who measures needs it
        BuildKey,
        LibraryKey,
        core_of,
        fingerprint,
        relevant_flags,
    )

    env = library.builder.env
    flags = [str(word) for word in env.subst_list("$CCFLAGS $CXXFLAGS")[0]]
    macros = [_macro(item) for item in env.get("CPPDEFINES", [])]
    key = LibraryKey(library.name, library.version, fingerprint(_files_that_count(library)))
    return BuildKey(key, core_of(flags, microcontroller), relevant_flags(macros, flags))


def _macro(item: Any) -> str:
    return "=".join(str(part) for part in item) if isinstance(item, (tuple, list)) else str(item)


def _files_that_count(library: TflmLibrary) -> Iterator[tuple[str, bytes]]:
    """TFLM's own sources and headers, and the manifest, which says which kernels are compiled."""
    for name in _MANIFESTS:
        if (library.path / name).is_file():
            yield name, (library.path / name).read_bytes()
    for root in library.include_roots:
        for folder, _, names in os.walk(root / _MICRO_FOLDER):
            for name in names:
                path = Path(folder, name)
                if path.suffix in _SOURCE_SUFFIXES:
                    yield path.relative_to(root).as_posix(), path.read_bytes()


def _defines(env: Any, macro: str) -> bool:
    names = (item[0] if isinstance(item, (tuple, list)) else item for item in env.get("CPPDEFINES", []))
    return any(str(name).split("=")[0] == macro for name in names)


def project_environment() -> Any | None:
    """The environment of the project's own sources; None before PlatformIO has made it."""
    # PlatformIO exports the environment of the project's sources to post scripts under this name; SCons' own Import()
    # would bind it in whichever script happens to be running.
    exports = sys.modules["SCons.Script.SConscript"].global_exports
    return exports.get("projenv")

"""After the link: the map that the linker is asked for, and the report as a node between the program and the upload."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SCons.Scanner import ScannerBase

from platformio_tflm import __version__
from platformio_tflm.errors import InputError
from platformio_tflm.files import display_path, write_if_changed
from platformio_tflm.scons import console
from platformio_tflm.scons.baseline import baseline_digest, compared
from platformio_tflm.scons.failed_link import report_overflow
from platformio_tflm.scons.plan import Plan

if TYPE_CHECKING:
    from platformio_tflm.measure import LinkedFiles, Measured

# After -Wl a comma ends the path; after -Xlinker the rest of the word is the path.
_MAP_OPTION = re.compile(r"^(?:--?Map=\"?([^\"]+)|-Wl,(?:.*,)?--?Map(?:=|,)\"?([^\",]+)).*$")
_REPORT_FILES = {"text": "report.txt", "json": "report.json", "html": "report.html"}
_UPLOADING = ("buildprog", "upload")
_PROGRAMMING_PLATFORMS = ("atmelavr", "atmelmegaavr")


def declare_report(env: Any, program: Any, plan: Plan) -> Any | None:
    """Ask for a map and declare the report; None where there is no board to hold the firmware against."""
    _ask_for_map(env, program)
    if plan.board is None:
        return None
    report_overflow(env, program)
    formats = [name for name in plan.settings.report if name in _REPORT_FILES] or ["json"]
    nodes = env.Command(
        [str(plan.output_dir / _REPORT_FILES[name]) for name in formats],
        [program, env.Value(_signature(env, plan))],
        env.VerboseAction(_make_report, "Measuring ${SOURCES[0]}"),
        source_scanner=ScannerBase(function=_images, name="images of the program"),
    )
    # A cached report could be one of another link: addresses are in it, and the map is not in the cache.
    env.NoCache(nodes)
    # One alias shows it, whoever asks, so that nobody sees it twice.
    shown = env.Alias("__tflm_show_report", nodes, env.VerboseAction(show_report, None))
    env.AlwaysBuild(shown)
    _put_before_upload(env, shown if "text" in formats else nodes)
    return shown


def _put_before_upload(env: Any, last: Any) -> None:
    env.Default(last)
    for name in (*_UPLOADING, *(("program",) if env["PIOPLATFORM"] in _PROGRAMMING_PLATFORMS else ())):
        env.Depends(env.Alias(name), last)


def _ask_for_map(env: Any, program: Any) -> None:
    if map_path(env) is None:
        # As the node's name, which counts from the project folder like every other path on the command line: SCons does
        # not quote flags, and the project's own path may have letters in it that mean something to a shell.
        env.Append(LINKFLAGS=["-Xlinker", f"-Map={env.File('$BUILD_DIR/${PROGNAME}.map').get_path(env.Dir('#'))}"])
    # A program taken out of the build cache comes without its map.
    env.NoCache(program)
    path = map_path(env)
    if path is not None and not path.is_file():
        env.AlwaysBuild(program)


def map_path(env: Any) -> Path | None:
    """Where the linker is told to write its map; the last option wins, as in the linker."""
    flags = env.get("LINKFLAGS", [])
    # Flag by flag: substituted as a whole, a path with a blank would come apart.
    words = env.Split(flags) if isinstance(flags, str) else env.Flatten(flags)
    found = [match[1] or match[2] for match in (_MAP_OPTION.match(env.subst(str(word))) for word in words) if match]
    return Path(env.subst("$PROJECT_DIR")) / found[-1] if found else None


def _images(node: Any, env: Any, _path: Any) -> list[Any]:
    """The .hex made from the program, if the platform makes one; known only after all its scripts have run."""
    if not str(node).endswith(env.subst("$PROGSUFFIX")) or not hasattr(node, "get_abspath"):
        return []
    image = env.File("$BUILD_DIR/${PROGNAME}.hex")
    return [image] if image.has_explicit_builder() or image.has_builder() else []


def _signature(env: Any, plan: Plan) -> str:
    models = [(model.name, model.path, model.sha256, model.arena_bytes) for model in plan.models]
    project = (env["BUILD_TYPE"], env["PIOENV"])
    parts = (__version__, plan.settings, plan.board, models, plan.runtime.describe(), project, baseline_digest(plan))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@console.build_action
def _make_report(target: list[Any], source: list[Any], env: Any) -> None:
    """Measure the linked program, write the reports, fail when a limit is exceeded."""
    from platformio_tflm.limits import limit_error  # noqa: PLC0415 - only a build that links pays for it

    measured = _measure(source[0], env)
    for node in target:
        write_if_changed(Path(node.get_abspath()), _rendered(measured, str(node)).encode("utf-8"))
        if str(node).endswith(".html"):
            console.say(f"HTML report: {display_path(Path(node.get_abspath()), Path(env.subst('$PROJECT_DIR')))}")
    for message in measured.report.messages:
        # On standard error: `pio run --silent` shows nothing else, and the problem matcher of an IDE reads this form.
        if message.level == "warning":
            console.show_warning(env["PIOENV"], message.text)
    exceeded = limit_error(measured.report)
    if exceeded is not None:
        show_report(None, None, env)
        raise exceeded


def _measure(program: Any, env: Any) -> Measured:
    from platformio_tflm.measure import LinkedFiles  # noqa: PLC0415

    elf, map_file = Path(program.get_abspath()), _written_map(program, env)
    image = env.File("$BUILD_DIR/${PROGNAME}.hex")
    hex_bytes = _bytes_of(Path(image.get_abspath())) if image.has_builder() else None
    return measure_files(LinkedFiles(_bytes_of(elf), _bytes_of(map_file), hex_bytes, elf.name, map_file.name), env)


def measure_files(linked: LinkedFiles, env: Any) -> Measured:
    """Account for what the linker has written, on the environment's board."""
    from platformio_tflm.measure import Project, measure  # noqa: PLC0415
    from platformio_tflm.scons.origins import origins_of  # noqa: PLC0415

    plan = Plan.of(env)
    assert plan.board is not None, "the report is only declared for a board"  # noqa: S101
    project = Project(env["PIOENV"], env["BUILD_TYPE"], __version__, origins_of(env, plan))
    measured = measure(linked, plan.board, plan.settings, project, models=plan.models, runtime=plan.runtime)
    return replace(measured, report=compared(measured.report, plan))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            hint="Does another build of this environment run at the same time? Build again when it has ended.",
        ) from error


def _written_map(program: Any, env: Any) -> Path:
    path = map_path(env)
    if path is None or not path.is_file():
        raise InputError(
            "the linker wrote no map",
            where=str(path or program),
            hint="Does a script replace LINKFLAGS after the program was declared? It should keep the -Map option.",
        )
    return path


def _rendered(measured: Measured, file_name: str) -> str:
    if file_name.endswith(".json"):
        from platformio_tflm.render.json_report import render_json  # noqa: PLC0415

        return render_json(measured.report)
    if file_name.endswith(".html"):
        from platformio_tflm.measure import detail  # noqa: PLC0415
        from platformio_tflm.render.html_report import render_html  # noqa: PLC0415

        return render_html(measured.report, detail(measured))
    from platformio_tflm.render.text import render_text  # noqa: PLC0415

    return render_text(measured.report)


def show_report(target: Any, source: Any, env: Any) -> None:  # noqa: ARG001 - the signature of an action
    """Action: put the report on the console."""
    folder = Plan.of(env).output_dir
    text, structured = folder / "report.txt", folder / "report.json"
    if text.is_file() and (console.shows_utf8() or not structured.is_file()):
        console.say(text.read_text(encoding="utf-8"))
    elif structured.is_file():
        console.say(_rendered_again(structured))


def _rendered_again(path: Path) -> str:
    from platformio_tflm.core.report_io import report_from_json  # noqa: PLC0415
    from platformio_tflm.render.text import render_text  # noqa: PLC0415

    report = report_from_json(path.read_text(encoding="utf-8"), path.name)
    return render_text(report, ascii_only=not console.shows_utf8())

"""The arrows of the house: who may import whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "platformio_tflm"
OWN = "platformio_tflm"

# Folder or module -> what it may import of our own, and which foreign packages.
LAYERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "errors": ((), ()),
    "core": (("core", "errors"), ("yaml", "intelhex")),
    "settings": (("errors",), ()),
    "extras": (("errors",), ()),
    "files": (("errors",), ()),
    "pipeline": (("core", "errors", "files", "settings"), ()),
    "describe": (("core", "pipeline"), ()),
    "limits": (("core", "errors", "settings"), ()),
    "measure": (("core", "describe", "errors", "limits", "pipeline", "settings"), ()),
    "room": (("core", "errors", "pipeline", "settings"), ()),
    "render": (("core.report", "render"), ("jinja2",)),
    "scons": (
        (
            "",
            "core",
            "describe",
            "errors",
            "extras",
            "files",
            "limits",
            "measure",
            "pipeline",
            "render",
            "room",
            "scons",
            "settings",
        ),
        ("SCons", "click", "platformio", "serial"),
    ),
    "cli": (
        (
            "",
            "cli",
            "core",
            "describe",
            "errors",
            "extras",
            "files",
            "measure",
            "pipeline",
            "render",
            "room",
            "settings",
        ),
        ("click",),
    ),
    "__init__": (("scons",), ()),
    "__main__": (("cli",), ()),
}
# Foreign packages of core, and the one module that may have each.
ONLY_IN = {"yaml": "core/board_file.py", "intelhex": "core/images.py"} | dict.fromkeys(
    ("platformio", "serial"), "scons/probe_device.py"
)

MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Absolute names of everything the module imports, wherever in the module."""
    package = (OWN, *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield module
            if module == OWN:
                yield from (f"{OWN}.{alias.name}" for alias in node.names if (PACKAGE / f"{alias.name}.py").is_file())


def layer_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def allowed(name: str, layer: str, path: Path) -> bool:
    own, foreign = LAYERS[layer]
    root = name.partition(".")[0]
    if root == OWN:
        inner = name[len(OWN) + 1 :]
        return any(inner == entry or (entry and inner.startswith(f"{entry}.")) for entry in own)
    if root in sys.stdlib_module_names:
        return True
    here = path.relative_to(PACKAGE).as_posix()
    return root in foreign and ONLY_IN.get(root, here) == here


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_follow_the_arrows(path: Path) -> None:
    layer = layer_of(path)
    assert layer in LAYERS, f"{layer} has no place in the house; give it one in LAYERS and CONTRIBUTING.md"
    wrong = [name for name in imports(path) if not allowed(name, layer, path)]
    assert wrong == []


IMPURE = {"print", "input", "exit", "quit", "open", "breakpoint"}
IMPURE_ATTRIBUTES = {("sys", "exit"), ("os", "environ"), ("os", "getcwd"), ("os", "getenv"), ("Path", "cwd")}


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if layer_of(path) == "core"],
    ids=lambda path: path.relative_to(PACKAGE).as_posix(),
)
def test_core_is_pure(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE, f"line {node.lineno}: {node.func.id}()"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in IMPURE_ATTRIBUTES, f"line {node.lineno}"


def test_a_wrong_import_would_be_seen() -> None:
    path = PACKAGE / "core" / "model.py"
    assert not allowed("platformio_tflm.render.text", "core", path)
    assert not allowed("SCons.Script", "core", path)
    assert not allowed("elftools.elf.elffile", "core", path)
    assert allowed("platformio_tflm.core.report", "render", PACKAGE / "render" / "text.py")

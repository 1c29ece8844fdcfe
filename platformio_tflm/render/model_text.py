"""Models as text, for `tflm-inspect` and `platformio-tflm inspect`."""

from __future__ import annotations

from collections.abc import Sequence

from platformio_tflm.core.report import ModelInfo, RuntimeInfo, TensorInfo

_MAX_NAME_LETTERS = 200

NO_MODELS = "No model in this environment. Put a .tflite into models/, or name one in custom_tflm_models.\n"


def render_models(models: Sequence[ModelInfo], runtime: RuntimeInfo | None = None) -> str:
    """One block a model: size, tensors, operators with version and count, arena. Ends with a newline."""
    if not models:
        return NO_MODELS
    blocks = ["\n".join(_model(model)) for model in models]
    if runtime is not None and runtime.library:
        blocks.append(f"Runtime: {runtime.library} {runtime.version}, interface of {runtime.api}")
    return "\n\n".join(blocks) + "\n"


def _model(model: ModelInfo) -> list[str]:
    lines = [f"{model.name}  {_clean(model.path)}  {model.size_bytes:,} bytes  sha256 {model.sha256[:16]}"]
    for title, tensors in (("input", model.inputs), ("output", model.outputs)):
        lines += [f"  {title:<7} {_tensor(tensor)}" for tensor in tensors]
    width = max((len(_clean(use.name)) for use in model.operators), default=0)
    for use in model.operators:
        lines.append(f"  {use.count:>6} x {_clean(use.name):<{width}}  version {use.version}")
    if model.arena is not None:
        lines.append(f"  arena   {model.arena.size_bytes:,} bytes ({model.arena.method})")
    return lines


def _tensor(tensor: TensorInfo) -> str:
    shape = "x".join(str(length) for length in tensor.shape) or "scalar"
    text = f"{_clean(tensor.name) or 'unnamed'}: {tensor.type} {shape}, {tensor.size_bytes:,} bytes"
    if tensor.scale is None:
        return text
    return f"{text}, scale {tensor.scale:.8g}, zero point {tensor.zero_point or 0}"


def _clean(text: str) -> str:
    """Names come from the file: control characters would move the terminal's cursor, megabytes would fill it."""
    clean = "".join(character if character.isprintable() else "?" for character in text[:_MAX_NAME_LETTERS])
    return clean if len(text) <= _MAX_NAME_LETTERS else f"{clean[:-3]}..."

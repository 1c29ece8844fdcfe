"""Model and Runtime -> text of the generated C++ files.

Everything here is pure and byte-stable: no date, no absolute path, the same text on every machine. What comes from
outside (paths, tensor names, custom names) passes through names.comment, names.c_string or names.identifier.
"""

from __future__ import annotations

from platformio_tflm.core.text import class_name, identifier

from .data import Strategy, data_header, data_source, incbin_probe_source
from .inference import inference_header
from .source import UNION_RESOLVER_FILE, ArenaNeed, FileNames, ModelSource, SharedArena, file_names

__all__ = [
    "UNION_RESOLVER_FILE",
    "ArenaNeed",
    "FileNames",
    "ModelSource",
    "SharedArena",
    "Strategy",
    "class_name",
    "data_header",
    "data_source",
    "file_names",
    "identifier",
    "incbin_probe_source",
    "inference_header",
]

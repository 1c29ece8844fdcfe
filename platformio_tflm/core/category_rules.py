"""The tables by which bytes are counted: what a rule looks at, what it decides, and the reason a user is shown.

Tables only; categories.py applies them. In each the first match decides, so what is special stands before what is
general. A rule looks at one of five subjects of an input section:

``object``  its file, ``path/libx.a(member.o)`` or ``path/main.o``, with forward slashes
``symbol``  the symbol its own name ends in (``.text.main`` -> ``main``), or an ELF symbol where there is one
``kind``    the map's kind of row (InputKind)
``output``  the name of the output section that a fill lies in
``section`` its own name
"""

from __future__ import annotations

import re
from typing import NamedTuple

from platformio_tflm.core.map_model import InputKind
from platformio_tflm.core.op_table import operators_by_kernel_file
from platformio_tflm.core.report import Category


class Rule(NamedTuple):
    """pattern: a regular expression, searched for in the subject."""

    subject: str
    category: Category
    reason: str
    pattern: str


# Rules that need no path; they come before those of objects.
KIND_RULES = (
    Rule("output", Category.FRAMEWORK, "room that the linker script keeps for stack and heap", r"(?i)stack|heap"),
    Rule("output", Category.FRAMEWORK, "addresses left free for another view of this memory", r"dummy$"),
    Rule("kind", Category.PADDING, "alignment: the linker filled up here", InputKind.FILL.value),
    Rule("kind", Category.FRAMEWORK, "a value that the linker script writes", InputKind.DATA.value),
    Rule(
        "kind", Category.OTHER, "a long jump or a change of instruction set, made by the linker", InputKind.STUBS.value
    ),
)

_TFLM_LIBRARY = (
    r"(?i)(?:^|/)[^/(]*(?:tflm|tflite|tensorflow|microlite)[^/(]*\.a\("
    r"|(?:^|/)tensorflow/lite/|(?:^|/)signal/(?:micro|src)/"
    r"|/lib[0-9a-f]{3}/[^/]*(?:tflm|tflite|tensorflow)[^/]*/"
)
_PLUGIN_RUNTIME = (
    r"(?i)(?:^|/)lib[^/(]*platformio[-_]tflm[^/(]*\.a\("
    r"|/platformio[-_]tflm/(?:src|builtin)/"
    r"|/lib[0-9a-f]{3}/platformio[-_]tflm/"
)
_CMSIS_NN = (
    r"(?i)(?:^|/)(?:lib)?cmsis[-_]?nn[^/]*[/(]"
    r"|(?:^|[/(])arm_(?:nn_|convolve|depthwise_conv|fully_connected)\w*\.(?:c\.)?o"
)
_C_LIBRARIES = (
    r"(?:^|[/\\])lib(?:c|c_nano|g|g_nano|m|m_nano|gcc|gcc_eh|gcov|stdc\+\+|stdc\+\+_nano|supc\+\+|supc\+\+_nano|nosys"
    r"|gloss|gloss_nano|rdimon|rdimon_nano|semihost|sim|newlib|cxx|ssp|printf_flt|printf_min|scanf_flt|scanf_min|at\w+"
    r"|dev\w+|c_nonshared|crt\w*)\.a\("
)
_FRAMEWORK = (
    r"(?:^|/)(?:lib)?Framework\w*(?:\.a\(|/)"
    r"|/framework-[^/]+/|/\.?platformio/packages/|(?:^|/)(?:esp-idf|pico-sdk)/"
)

# Rules of objects whose origin the build did not name.
OBJECT_RULES = (
    Rule("object", Category.MODEL, "generated with the model's data", r"(?:^|/)tflm/src/\w+_data\.(?:\w+\.)?o(?:bj)?$"),
    Rule("object", Category.BUILTIN, "the plugin's own runtime", _PLUGIN_RUNTIME),
    Rule("object", Category.TFLM_KERNELS, "Arm's CMSIS-NN", _CMSIS_NN),
    Rule(
        "object", Category.TFLM_KERNELS, "Espressif's ESP-NN", r"(?i)(?:^|/)(?:lib)?esp[-_]nn[^/]*[/(]|[/(]esp_nn_\w*\."
    ),
    Rule("object", Category.TFLM_CORE, "the TensorFlow Lite Micro library", _TFLM_LIBRARY),
    Rule("object", Category.LIBC, "a library of the toolchain", _C_LIBRARIES),
    Rule("object", Category.LIBC, "the toolchain's start-up code", r"(?:^|/)(?:rdimon-)?[gSM]?crt\w*\.o(?:bj)?$"),
    Rule("object", Category.LIBC, "a file of the toolchain", r"/toolchain-[^/]+/|/lib/gcc(?:-cross)?/"),
    Rule("object", Category.FRAMEWORK, "the framework's core", _FRAMEWORK),
    Rule(
        "object",
        Category.OTHER,
        "link-time optimization merged the objects",
        r"\.ltrans\d*\.|\.lto\.o|(?:^|/)cc\w{6}\.o$",
    ),
    Rule("object", Category.OTHER, "made by the linker: merged strings, tables, jumps", r"^<internal>$"),
    Rule("object", Category.OTHER, "only a map tells whose object it is", r"^$"),
    Rule("object", Category.APPLICATION, "a library of the project", r"(?:^|/)\.pio/build/[^/]+/lib[0-9a-f]{3}/"),
    Rule(
        "object",
        Category.APPLICATION,
        "the project's own code",
        r"(?:^|/)\.pio/build/[^/]+/(?:(?:src|test|tflm)/|[^/]+$)",
    ),
    Rule("object", Category.FRAMEWORK, "a folder that the framework's script compiles", r"(?:^|/)\.pio/build/"),
    Rule("object", Category.APPLICATION, "an object that the project's build made", r"^(?![A-Za-z]:|/)"),
    Rule("object", Category.OTHER, "no rule knows this object's path", r""),
)

# The generated object has the model's arena beside its data; a report that is not told of the model knows it by name.
ARENA_RULE = Rule("section", Category.ARENA, "the tensor arena, generated with the model's data", r"^\.bss\.\w+_arena$")

_MANGLED = r"^_Z(?:TV|TI|TS|GV|Z|N|K|L)*"
_KERNEL_NAMES = r"6tflite(?:\d+Register_|\d+reference_ops|\d+reference_integer_ops)"
_CMSIS_NAMES = r"nn_|convolve|depthwise|fully_connected|avgpool|max_pool|softmax|svdf|lstm|elementwise"

# Rules of symbols, for code that a header or the link-time optimizer moved out of its library's objects.
SYMBOL_RULES = (
    Rule("symbol", Category.TFLM_KERNELS, "a function with a kernel's signature", r"TfLiteContextP10TfLiteNode"),
    Rule("symbol", Category.TFLM_KERNELS, "a kernel's symbol in namespace tflite", _MANGLED + _KERNEL_NAMES),
    Rule("symbol", Category.TFLM_KERNELS, "a function of CMSIS-NN or ESP-NN", rf"^(?:arm_(?:{_CMSIS_NAMES})|esp_nn_)"),
    Rule(
        "symbol",
        Category.TFLM_CORE,
        "a symbol in a namespace of TensorFlow Lite Micro",
        _MANGLED + r"(?:6tflite|8gemmlowp|4ruy|11flatbuffers)",
    ),
    Rule("symbol", Category.TFLM_CORE, "a function of TensorFlow Lite's C API", r"^(?:_Z\d+)?TfLite[A-Z]"),
)

# Source file of a kernel (without its ending) -> operators.
KERNEL_OPERATORS: dict[str, str] = {
    stem: "/".join(operators) for stem, operators in operators_by_kernel_file().items()
} | {"lstm_eval": "UNIDIRECTIONAL_SEQUENCE_LSTM"}
# What upstream adds to the operator's name for the parts of one kernel.
KERNEL_ENDING = re.compile(
    r"(?:_common|_kernel|_kernels|_op|_ops|_flexbuffers_generated_data|_float|_int8|_int16|_int32|_state\w*)+$"
)
# Shared by several operators: kernels, but nobody's own.
SHARED_KERNELS = re.compile(
    r"^(?:kernel_util|micro_tensor_utils|kernel_runner|decompress|kiss_fft\w*|fft|fft_util|log|max_abs|msb_\d+"
    r"|square_root_\d+|portable_tensor_utils|tensor_utils"
    r"|pcan_argc_fixed)$"
)
# The function with which an operator is registered: the length of its mangled name, and the operator.
REGISTRATION = re.compile(r"(?:^|(?<=[^\d])(\d{1,3}))Register_([A-Z][A-Z0-9_]+)")
# Functions of CMSIS-NN and ESP-NN that one operator alone pulls in.
LIBRARY_OPERATORS = tuple(
    (re.compile(rf"^(?:arm|esp_nn)_(?:nn_)?(?:{stem})"), operator)
    for stem, operator in (
        ("transpose_conv", "TRANSPOSE_CONV"),
        ("depthwise_conv", "DEPTHWISE_CONV_2D"),
        ("conv(?:olve)?_", "CONV_2D"),
        ("fully_connected", "FULLY_CONNECTED"),
        ("batch_matmul", "BATCH_MATMUL"),
        ("lstm|elementwise_mul_acc|elementwise_mul_s16_(?:s8|batch_offset)", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
        ("softmax", "SOFTMAX"),
        ("svdf|vec_mat_mult_t_svdf", "SVDF"),
        ("avg_?pool|max_?pool", "AVERAGE_POOL_2D/MAX_POOL_2D"),
        ("elementwise_add|add_elementwise", "ADD"),
        ("elementwise_mul_[sf]|mul_elementwise", "MUL"),
        ("maximum|minimum", "MAXIMUM/MINIMUM"),
        ("pad_", "PAD/PADV2"),
        ("transpose_", "TRANSPOSE"),
        ("concatenation", "CONCATENATION"),
        ("reshape", "RESHAPE"),
        ("relu", "RELU/RELU6"),
    )
)

# What stands before the symbol in the name of an input section made by -ffunction-sections or -fdata-sections.
SECTION_PREFIX = re.compile(
    r"^\.?(?:text|rodata|data|bss|literal|ARM\.extab|ARM\.exidx|gnu\.linkonce\.\w+|sdata|sbss|srodata)\."
    r"(?:(?:startup|unlikely|hot|exit|rel\.ro|rel|local|cst\d+|str\d+\.\d+)\.)*"
)

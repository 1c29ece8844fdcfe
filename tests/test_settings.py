"""platformio.ini options -> Settings, and every way to get one wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformio_tflm.errors import UsageError
from platformio_tflm.settings import OPTIONS, Limit, Margin, parse_bytes, read_settings


def test_defaults() -> None:
    read = read_settings({"platform": "espressif32", "custom_other": "1"})
    assert read.models == ("models/**/*.tflite", "src/**/*.tflite")
    assert (read.runtime, read.over_limit, read.optimize) == ("auto", "error", "inherit")
    assert read.arena_bytes("any") is None
    assert read.max_flash == Limit(percent=100.0)
    assert read.report == ("text", "json")


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("12288", 12288), ("12K", 12288), ("12 k", 12288), ("1M", 1 << 20), ("0x3000", 12288), ("12KiB", 12288), ("0", 0)],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_bytes(text) == size_bytes


@given(st.text())
@settings(derandomize=True, deadline=None, max_examples=300)
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        size_bytes = parse_bytes(text)
    except ValueError:
        size_bytes = 0
    assert 0 <= size_bytes <= 1 << 32


def test_arena_by_name_and_for_all() -> None:
    read = read_settings({"custom_tflm_arena": "8K\nspeech = 20K"})
    assert read.arena_bytes("speech") == 20480
    assert read.arena_bytes("other") == 8192


@pytest.mark.parametrize(("text", "margin"), [("0", Margin(0)), ("256", Margin(256)), ("5%", Margin(percent=5.0))])
def test_margin(text: str, margin: Margin) -> None:
    assert read_settings({"custom_tflm_arena_margin": text}).arena_margin == margin
    assert margin.of(1000) in (0, 256, 50)


def test_limits() -> None:
    assert read_settings({"custom_tflm_max_flash": "90%"}).max_flash.of(1000) == 900
    assert read_settings({"custom_tflm_max_sram": "200K"}).max_sram.of(1000) == 204800


def test_lines() -> None:
    read = read_settings(
        {
            "custom_tflm_models": "\nmodels/a.tflite\nmodels/b.tflite\n",
            "custom_tflm_custom_ops": "MyOp = ops::Register_MY_OP",
            "custom_tflm_reserve": "stack = 8K\nble = 30K",
        }
    )
    assert read.models == ("models/a.tflite", "models/b.tflite")
    assert read.custom_ops == (("MyOp", "ops::Register_MY_OP"),)
    assert read.reserve == (("stack", 8192), ("ble", 30720))


BAD = {
    "custom_tflm_runtime = tfml": "custom_tflm_runtime: 'tfml' is not one of auto, tflm, data, builtin; did you mean tflm?",
    "custom_tflm_runtime = builtin": "custom_tflm_runtime: the built-in runtime is not part of this version; use tflm or data",
    "custom_tflm_arena = 12X": "custom_tflm_arena: '12X' is not a size; write bytes, or K or M for multiples of 1024 (12288, 12K)",
    "custom_tflm_arena = a b = 1K": "custom_tflm_arena: 'a b' is not a model's name; write it as in the generated code (my_model = 12K)",
    "custom_tflm_arena = 8G": "custom_tflm_arena: '8G' is not a size; write bytes, or K or M for multiples of 1024 (12288, 12K)",
    "custom_tflm_arena = 9999999K": "custom_tflm_arena: '9999999K' is 10,239,998,976 bytes; at most 4,294,967,296 are allowed",
    "custom_tflm_max_flash = 120%": "custom_tflm_max_flash: '120%' is not between 0% and 100%",
    "custom_tflm_max_sram = much": "custom_tflm_max_sram: 'much' is not a size; write bytes, or K or M for multiples of 1024 (12288, 12K)",
    "custom_tflm_shared_arena = perhaps": "custom_tflm_shared_arena: 'perhaps' is neither yes nor no",
    "custom_tflm_custom_ops = MyOp": "custom_tflm_custom_ops: 'MyOp' is not of the form OpName=Register_Function",
    'custom_tflm_custom_ops = A=f(); system("x")': "is not of the form OpName=Register_Function",
    "custom_tflm_reserve = 8K": "custom_tflm_reserve: '8K' is not of the form name = size, for example stack = 8K",
    "custom_tflm_over_limit = stop": "custom_tflm_over_limit: 'stop' is not one of error, warn",
    "custom_tflm_optimize = fast": "custom_tflm_optimize: 'fast' is not one of inherit, speed, size",
    "custom_tflm_report = pdf": "custom_tflm_report: 'pdf' is not one of text, json, html",
    "custom_tflm_models =": "custom_tflm_models: is empty; name at least one file or pattern, or leave the option out",
    "custom_tflm_modle = x": "custom_tflm_modle: no such option; did you mean custom_tflm_models?",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_values(line: str) -> None:
    name, _, value = line.partition("=")
    with pytest.raises(UsageError) as caught:
        read_settings({name.strip(): value.strip()})
    assert BAD[line] in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_problems_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        read_settings({"custom_tflm_arena": "x", "custom_tflm_rutime": "tflm", "custom_tflm_max_flash": "y"})
    assert str(caught.value).count("custom_tflm_") == 4  # the third is the near name of the second


def test_every_example_is_valid() -> None:
    for option in OPTIONS:
        read_settings({option.name: option.example})


def test_tight_is_the_smallest_of_its_bounds() -> None:
    default = read_settings({})
    assert [default.tight_bytes(limit) for limit in (100_000, 204_800, 1_000_000)] == [10_000, 20_480, 20_480]
    assert read_settings({"custom_tflm_tight": "5%"}).tight_bytes(1_000_000) == 50_000
    assert read_settings({"custom_tflm_tight": "8K"}).tight_bytes(1_000) == 8_192
    with pytest.raises(UsageError, match="custom_tflm_tight"):
        read_settings({"custom_tflm_tight": " , "})

"""Names and literals: whatever a file is called, what comes out is C++ and nothing more."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformio_tflm.core.codegen import class_name, identifier
from platformio_tflm.core.text import c_string, comment, is_function_name


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("hello_world", "hello_world"),
        ("Model", "Model"),
        ("my-model (1)", "my_model_1"),
        ("1st", "model_1st"),
        ("größe", "gro_e"),
        ("模型", "model"),
        ("", "model"),
        ("class", "model_class"),
        ("int", "model_int"),
        ("tflm_models", "model_tflm_models"),
        ("all_models", "model_all_models"),
        ("a.b.c", "a_b_c"),
        ('x"; int y; //', "x_int_y"),
    ],
)
def test_identifier(stem: str, expected: str) -> None:
    assert identifier(stem) == expected


def test_identifier_is_the_same_in_either_normal_form() -> None:
    assert identifier(unicodedata.normalize("NFC", "modèle")) == identifier(unicodedata.normalize("NFD", "modèle"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("hello_world", "HelloWorld"), ("kws", "Kws"), ("a_1", "A1"), ("_1x", "Model1x"), ("___", "Model"), ("aB", "AB")],
)
def test_class_name(name: str, expected: str) -> None:
    assert class_name(name) == expected


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text())
def test_any_text_gives_safe_names_and_literals(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", identifier(text))
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", class_name(identifier(text)))
    shown = comment(text)
    assert len(shown) <= 160
    assert not any(unsafe in shown for unsafe in ("\n", "\r", "\\", "*", "?", '"'))
    literal = c_string(text)
    assert re.fullmatch(r'"(?:[^"\\?\n\x80-\U0010ffff]|\\[0-7]{3})*"', literal)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text())
def test_identifier_is_stable(text: str) -> None:
    assert identifier(identifier(text)) == identifier(text)


@pytest.mark.parametrize("name", ["Register_X", "a::b::Register_X", "::Register_X", "_x"])
def test_function_names(name: str) -> None:
    assert is_function_name(name)


@pytest.mark.parametrize(
    "name", ["", "Register X", "f()", "a::", "::", "1f", "a:b", "f;", "f\n", "return", "a::int", "é"]
)
def test_what_is_no_function_name(name: str) -> None:
    assert not is_function_name(name)

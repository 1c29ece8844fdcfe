"""C++ names, side by side with c++filt on every symbol of real C++ libraries; anything else stays as it is."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformio_tflm.core.demangle import readable


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("main", "main"),
        ("_ZN6tflite16MicroInterpreter6InvokeEv", "tflite::MicroInterpreter::Invoke"),
        ("_ZN6tflite22MicroMutableOpResolverILj3EE9AddConv2DEv", "tflite::MicroMutableOpResolver<…>::AddConv2D"),
        ("_ZTVN6tflite14MicroAllocatorE", "vtable for tflite::MicroAllocator"),
        ("_ZGVZN4tflm3getEvE8instance", "guard variable for tflm::get::instance"),
        ("_ZN12_GLOBAL__N_17kernelsE", "(anonymous namespace)::kernels"),
        ("_ZN4TimeC1Ev", "Time::Time"),
        ("_ZN4TimeD2Ev", "Time::~Time"),
        ("_ZNK4TimeltERKS_", "Time::operator<"),
        ("_ZNSt6vectorIN6tflite5ModelESaIS1_EE9push_backEv", "std::vector<…>::push_back"),
        ("_ZL6bufferB5cxx11", "buffer[abi:cxx11]"),
        ("_Z4copyPKcj.constprop.0", "copy [.constprop.0]"),
        ("_ZZN4tflm3runEvENKUlvE_clEv", "tflm::run::{lambda}::operator()"),
        ("_Z", "_Z"),
        ("_ZN", "_ZN"),
        ("_ZN4", "_ZN4"),
        ("_Z99999999999999999999a", "_Z99999999999999999999a"),
    ],
)
def test_names(symbol: str, name: str) -> None:
    assert readable(symbol) == name


@given(st.text("_ZNKSt0123456789abIEJLPRTFAMvijcCD.", max_size=60))
@settings(derandomize=True, deadline=None, max_examples=1000)
def test_any_text_has_a_name(text: str) -> None:
    assert readable("_Z" + text)
    assert readable(text) == text or text.startswith("_Z")


def test_deep_and_long_names_end() -> None:
    for symbol in ("_Z1aP" + "P" * 3000, "_Z" + "N" * 3000, "_ZN1aI" + "P" * 3000 + "iEE", "_Z" + "Z" * 3900):
        assert readable(symbol) is not None
    assert readable("_Z5000" + "a" * 5000) == "_Z5000" + "a" * 5000


def bare(name: str) -> str:
    """c++filt's answer as ours has it: no arguments of templates, no parameters, no qualifiers."""
    name = name.replace("operator()", "operator@")
    name = re.sub(r"operator([<>=-]+)", lambda found: "operator" + found[1].translate({60: "{", 62: "}"}), name)
    name = name.replace("(anonymous namespace)", "@anonymous").replace("{lambda", "{lambda@")
    before = ""
    while before != name:
        before = name
        name = re.sub(r"<[^<>]*>|\([^()]*\)(?: const)?", "", name)
    return name


@pytest.mark.skipif(shutil.which("arm-none-eabi-c++filt") is None, reason="no arm-none-eabi-c++filt on the path")
def test_as_c_filt_says() -> None:
    library = subprocess.run(
        ["arm-none-eabi-g++", "-print-file-name=libstdc++.a"], capture_output=True, text=True, check=True
    ).stdout.strip()
    listing = subprocess.run(["arm-none-eabi-nm", library], capture_output=True, text=True, check=False).stdout
    symbols = sorted({line.split()[-1] for line in listing.splitlines() if re.search(r" _Z[\w.]+$", line)})
    # Not read: transaction clones, names of groups of constructors. Clones of functions are written differently.
    symbols = [symbol for symbol in symbols if not re.search(r"^_ZGTt|[CD]5E|\.", symbol)]
    filtered = subprocess.run(
        ["arm-none-eabi-c++filt", "-p"], input="\n".join(symbols), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    pairs = [(symbol, readable(symbol), bare(theirs)) for symbol, theirs in zip(symbols, filtered, strict=True)]
    read = [pair for pair in pairs if pair[1] != pair[0] and "{" not in pair[1]]
    assert len(read) > 0.95 * len(pairs) > 3000
    spelled = {"basic_string": "string", "basic_": "", "std::string::string": "std::string::basic_string"}
    wrong = []
    for symbol, ours, theirs in read:
        mine = bare(ours.replace("<…>", ""))
        abbreviated = re.search(r"(?:^|K|N)S[bsiod]|_ZSt[lr]sI", symbol) or "operator …" in ours
        if mine != theirs and not abbreviated and not any(word in theirs for word in spelled):
            wrong.append((symbol, mine, theirs))
    assert not wrong, "\n".join(map(str, wrong[:40]))

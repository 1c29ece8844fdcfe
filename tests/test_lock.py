"""tflm-lock.json: what is read is what was written, nothing else is; and which measurement counts for which build."""

from __future__ import annotations

import json
import time
import tracemalloc
from dataclasses import replace

import pytest

from platformio_tflm.core.lock import (
    BuildKey,
    LibraryKey,
    Lock,
    Measurement,
    core_of,
    fingerprint,
    lock_from_text,
    lock_to_text,
    refuse_large_lock,
    relevant_flags,
)
from platformio_tflm.errors import InputError

BUILD = BuildKey(LibraryKey("tflm", "1.2.0", "a" * 64), "cortex-m4", ("-DTF_LITE_STATIC_MEMORY",))
ENTRY = Measurement("gesture", "1" * 64, BUILD, 1072, 676, "emu_nano33ble")
OTHER = Measurement("a_word", "2" * 64, BUILD, 22768, 22760, "emu_nano33ble")


def test_round_trip_sorts() -> None:
    text = lock_to_text(Lock((ENTRY, OTHER)))
    assert text == lock_to_text(Lock((OTHER, ENTRY)))
    assert text.isascii()
    assert text.endswith("}\n")
    assert lock_from_text(text) == Lock((OTHER, ENTRY))


def test_empty() -> None:
    assert lock_from_text(lock_to_text(Lock())) == Lock()


def changed(**values: object) -> str:
    loaded = json.loads(lock_to_text(Lock((ENTRY,))))
    loaded["measurements"][0].update(values)
    return json.dumps(loaded)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON lock file"),
        ("<<<<<<< ours\n", "not a JSON lock file"),
        ("[]", "schema_version is null where 1 is read"),
        ('{"schema_version": 2, "measurements": []}', "schema_version is 2 where 1 is read"),
        (changed(arena_byte=16), "measurements[0].arena_byte is unknown; did you mean arena_bytes?"),
        (changed(arena_bytes="1072"), "measurements[0].arena_bytes should be an integer, but is '1072'"),
        (changed(arena_bytes=1071), "measurements[0].arena_bytes should be a multiple of 16, but is 1071"),
        (changed(arena_bytes=0), "measurements[0].arena_bytes should be a multiple of 16, but is 0"),
        (changed(used_bytes=1073), "measurements[0].used_bytes should be at most arena_bytes, 1072, but is 1073"),
        (changed(used_bytes=-1), "measurements[0].used_bytes should be at least 0"),
        (changed(sha256="A" * 64), "measurements[0].sha256 should be 64 hexadecimal digits"),
        (changed(build=None), "measurements[0].build should be an object, but is null"),
        (lock_to_text(Lock((ENTRY, ENTRY))), "measurements[1] is of the same model and build as measurements[0]"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        lock_from_text(text)
    assert message in str(raised.value)
    assert "tflm-lock.json" in raised.value.where
    assert "pio run -t tflm-arena" in raised.value.hint


def test_a_file_full_of_mistakes_costs_little() -> None:
    """300,000 entries with seven mistakes each, and a list of as many."""
    for text in (
        '{"schema_version": 1, "measurements": [' + "{}," * 300_000 + "{}]}",
        changed(build={"library": {}, "core": "", "flags": [0] * 300_000}),
        '{"schema_version": 1, "measurements": [], ' + ", ".join(f'"x{index}": 0' for index in range(100_000)) + "}",
    ):
        tracemalloc.start()
        started = time.process_time()
        with pytest.raises(InputError, match="and many more"):
            lock_from_text(text)
        assert time.process_time() - started < 2
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
        tracemalloc.stop()


def test_too_large() -> None:
    for refused in (lambda: lock_from_text(" " * 3_000_000), lambda: refuse_large_lock(3_000_000)):
        with pytest.raises(InputError, match="2,097,152") as raised:
            refused()
        assert "tflm-lock.json" in raised.value.where
    refuse_large_lock(2 * 1024 * 1024)


def test_thousands_of_measurements_are_read_at_once() -> None:
    lock = Lock(tuple(replace(ENTRY, model=f"model_{index:04}", sha256=f"{index:064x}") for index in range(4_000)))
    text = lock_to_text(lock)
    started = time.process_time()
    assert lock_from_text(text) == lock
    assert time.process_time() - started < 1


def test_found_by_bytes_and_build_alone() -> None:
    lock = Lock((ENTRY, OTHER))
    assert lock.find("1" * 64, BUILD) is ENTRY
    assert lock.find("1" * 64, replace(BUILD, core="cortex-m7")) is None
    assert lock.find("3" * 64, BUILD) is None


@pytest.mark.parametrize(
    ("name", "sha256", "build", "reason"),
    [
        ("gesture", "1" * 64, BUILD, ""),
        ("renamed", "1" * 64, BUILD, ""),
        ("unknown", "3" * 64, BUILD, ""),
        ("gesture", "3" * 64, BUILD, "the model's bytes have changed"),
        ("gesture", "1" * 64, replace(BUILD, core="esp32"), "it was for cortex-m4, this build is for esp32"),
        ("gesture", "1" * 64, replace(BUILD, flags=()), "it was with -DTF_LITE_STATIC_MEMORY, this build has no flags"),
        (
            "gesture",
            "1" * 64,
            replace(BUILD, library=LibraryKey("tflm", "1.3.0", "b" * 64)),
            "it was tflm 1.2.0, now tflm 1.3.0 is linked",
        ),
        (
            "gesture",
            "1" * 64,
            replace(BUILD, library=LibraryKey("tflm", "1.2.0", "b" * 64)),
            "the files of tflm 1.2.0 have changed",
        ),
    ],
)
def test_why_not(name: str, sha256: str, build: BuildKey, reason: str) -> None:
    assert Lock((OTHER, ENTRY)).why_not(name, sha256, build) == reason


def test_update_replaces_what_is_of_the_same_model_and_build() -> None:
    elsewhere = replace(ENTRY, build=replace(BUILD, core="cortex-m7"))
    newer = replace(ENTRY, sha256="3" * 64, arena_bytes=2048)
    assert Lock((ENTRY, OTHER, elsewhere)).updated([newer]) == Lock((OTHER, elsewhere, newer))
    renamed = replace(ENTRY, model="renamed")
    assert Lock((ENTRY,)).updated([renamed]) == Lock((renamed,))


def test_fingerprint() -> None:
    files = [("a.h", b"one\ntwo\n"), ("b.h", b"three")]
    assert fingerprint(files) == fingerprint(reversed(files))
    assert fingerprint(files) == fingerprint([("a.h", b"one\r\ntwo\r\n"), ("b.h", b"three")])
    assert fingerprint(files) != fingerprint([("a.h", b"one\ntwo\nt"), ("b.h", b"hree")])
    assert fingerprint([("a", b"b")]) != fingerprint([("ab", b"")])


def test_relevant_flags() -> None:
    macros = ["ARDUINO=10800", "TF_LITE_STATIC_MEMORY", "F_CPU=64000000L", "CMSIS_NN", "ESP_NN=1", "NDEBUG"]
    flags = ["-Os", "-mcpu=cortex-m4", "-fshort-enums", "-Wall", "-mfloat-abi=hard"]
    assert relevant_flags(macros, flags) == ("-DCMSIS_NN", "-DESP_NN=1", "-DTF_LITE_STATIC_MEMORY", "-fshort-enums")


def test_core() -> None:
    assert core_of(["-mcpu=cortex-m4", "-Os"], "nrf52840") == "cortex-m4"
    assert core_of(["-march=rv32imc"], "esp32c3") == "rv32imc"
    assert core_of(["-mlongcalls"], "esp32") == "esp32"

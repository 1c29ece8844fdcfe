"""Board files: what they say, how they are packed, and how a wrong one is refused."""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from platformio_tflm.core import boards
from platformio_tflm.core.board_file import board_from_mapping, size_from_text
from platformio_tflm.core.boards import (
    MAX_BOARD_FILE_BYTES,
    REGION_KINDS,
    Board,
    board_from_file,
    board_from_limits,
    board_from_yaml,
    find_board,
    known_board_ids,
)
from platformio_tflm.errors import BoardError, ExitCode

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "boards"
EMULATOR = ROOT / "emulator" / "boards"
MAPS = ROOT.parent / "shared" / "maps"

# PlatformIO's manifests: flash, SRAM, first address of flash, first address of SRAM.
LIMITS = {
    "nano33ble": (983_040, 262_144, 0x10000, 0x20000000),
    "esp32dev": (4_194_304, 327_680, 0x400D0000, 0x3FFB0000),
    "esp32-s3-devkitc-1": (8_388_608, 327_680, 0x42000000, 0x3FC88000),
    "esp32-c3-devkitm-1": (4_194_304, 327_680, 0x42000000, 0x3FC80000),
    "pico": (2_097_152, 262_144, 0x10000000, 0x20000000),
    "nucleo_f411re": (524_288, 131_072, 0x08000000, 0x20000000),
    "disco_f407vg": (1_048_576, 131_072, 0x08000000, 0x20000000),
    "disco_f746ng": (1_048_576, 327_680, 0x08000000, 0x20000000),
    "nucleo_f746zg": (1_048_576, 327_680, 0x08000000, 0x20000000),
    # 131,072 until platform-ststm32 14 (2021), which left SRAM2 out.
    "nucleo_l476rg": (1_048_576, 98_304, 0x08000000, 0x20000000),
    "uno": (32_256, 2_048, 0x0, 0x800100),
}
STANDS_FOR = {
    "emu_nano33ble": "nano33ble",
    "emu_f411re": "nucleo_f411re",
    "emu_f746": "nucleo_f746zg",
    "emu_pico": "pico",
    "emu_cortex_m33": None,
    "emu_cortex_m55": None,
}

VALID = """\
id: mine
name: My board
processor: {core: cortex-m4, fpu: true, clock: 64 MHz, source: its datasheet}
limits:
  flash: {size: 1M, source: its datasheet}
  sram: {size: 256K, source: its datasheet}
regions:
  - {name: flash, kind: flash, origin: 0x08000000, length: 1M, source: its datasheet}
  - {name: sram, kind: sram, origin: 0x20000000, length: 262144, source: its datasheet}
reserved:
  - {name: stack, size: 0x400, section: .stack, source: its linker script}
  - {name: radio, size: 20K, archive: libradio.a, source: its manual}
"""

# The change to VALID, and a line of the message it must give.
WRONG = [
    ("id: mine", "id: my board", "line 1: id: should be up to 64 letters"),
    ("id: mine\n", "", "line 1: id: missing"),
    ("name: My board", 'name: "a\\nb"', "line 2: name: should be one line"),
    ("name: My board", "name: 5", "line 2: name: should be one line of at most 400 characters, but is 5"),
    ("core: cortex-m4", "core: [4]", "line 3: processor.core: should be up to 64 letters"),
    ("fpu: true", "fpu: maybe", "line 3: processor.fpu: should be true or false, but is 'maybe'"),
    ("64 MHz", "fast", "line 3: processor.clock: should be a frequency like 64 MHz, but is 'fast'"),
    ("64 MHz", "99999999 MHz", "line 3: processor.clock: 99999999000000 Hz is outside 1 to 10000000000"),
    ("limits:", "limitz:", "line 4: limitz: unknown; did you mean limits?"),
    (
        "flash: {size: 1M,",
        "flash: {size: 1T,",
        "line 5: limits.flash.size: should be a size like 262144, 256K or 0x40000",
    ),
    ("sram: {size: 256K,", "sram: {size: 0,", "line 6: limits.sram.size: 0 is outside 1 to 4294967296"),
    ("sram: {size: 256K,", "sram: {size: true,", "line 6: limits.sram.size: should be a size"),
    (
        "sram: {size: 256K,",
        "sram: {size: 257K,",
        "line 6: limits.sram.size: 263168 bytes are allowed where the regions",
    ),
    ("kind: flash", "kind: flush", "line 8: regions.1.kind: should be one of flash, sram"),
    ("0x08000000", "-1", "line 8: regions.1.origin: -1 is outside 0 to 4294967295"),
    ("0x08000000", "0xFFFFFFFF", "line 8: regions.1.length: the region ends at 0x1000fffff, beyond 32 bits"),
    ("0x08000000", "0x1FFFFFFF", "line 9: regions.2.origin: 0x20000000 lies in flash, which ends at 0x200fffff"),
    ("name: sram", "name: flash", "line 9: regions.2.name: flash is the name of an earlier entry"),
    ("kind: sram, origin", "kind: sram, orgin", "line 9: regions.2.orgin: unknown; did you mean origin?"),
    ("size: 20K", "size: 300K", "reserved: 308224 bytes are reserved of 262144 of SRAM"),
    ("reserved:", "reserved: 7\nnothing:", "line 10: reserved: should be a list, but is 7"),
    ("id: mine", "id: mine\nid: yours", "line 2: id: given twice"),
    ("id: mine", "id: &a mine\nname: *a", "aliases (*name) are not allowed"),
    ("id: mine", "id: [", "not valid YAML"),
    ("id: mine", "id: !!python/object:os.system x", "not valid YAML"),
    ("id: mine", "id: \x07", "not valid YAML"),
    (VALID, "", "the file: should hold id, name, processor, limits, regions, but is empty"),
    (VALID, "[" * 60_000, "nested deeper than 16 levels"),
    (VALID, "- 1\n- 2\n", "the file: should hold id, name, processor, limits, regions, but is a list"),
    (VALID, "#" * (MAX_BOARD_FILE_BYTES + 1), "longer than the 65536 bytes allowed"),
]


@pytest.fixture(scope="module")
def all_boards() -> dict[str, Board]:
    return {board_id: find_board(board_id) for board_id in known_board_ids()}


def test_all_boards_of_the_interface_are_known() -> None:
    assert set(known_board_ids()) == {*LIMITS, *STANDS_FOR}
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(known_board_ids())


def test_packed_file_is_in_step_with_the_yaml() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "pack_boards.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("board_id", sorted({*LIMITS, *STANDS_FOR}))
def test_packed_board_is_the_yaml_board(board_id: str) -> None:
    source = f"boards/{board_id}.yaml"
    assert board_from_file(FOLDER / f"{board_id}.yaml", source) == find_board(board_id)


@pytest.mark.parametrize("board_id", LIMITS)
def test_limits_and_first_addresses(board_id: str) -> None:
    board = find_board(board_id)
    flash = [region.origin for region in board.regions if region.limit == "flash"]
    sram = [region.origin for region in board.regions if region.limit == "sram"]
    assert (board.flash_limit_bytes, board.sram_limit_bytes, flash[0], sram[0]) == LIMITS[board_id]


def test_every_figure_has_a_source(all_boards: dict[str, Board]) -> None:
    for board in all_boards.values():
        figures = [board.processor_source, board.flash_source, board.sram_source]
        figures += [entry.source for entry in (*board.regions, *board.reservations)]
        figures += [board.app_partition_source] if board.app_partition_bytes else []
        assert all(re.search(r"[./]\w|Datasheet", figure) for figure in figures), board.id


def test_memory_outside_the_limit_is_described_but_not_counted(all_boards: dict[str, Board]) -> None:
    uncounted = {
        board.id: sum(region.length_bytes for region in board.regions if region.kind in ("ccm", "other"))
        for board in all_boards.values()
    }
    assert {key: value for key, value in uncounted.items() if value} == {
        "disco_f407vg": 65_536,
        "nucleo_l476rg": 32_768,
        "pico": 8_192,
    }
    dtcm = [region for region in all_boards["disco_f746ng"].regions if region.kind == "dtcm"]
    assert [(region.length_bytes, region.limit) for region in dtcm] == [(65_536, "sram")]


@pytest.mark.parametrize("board_id", STANDS_FOR)
def test_emulated_boards_agree_with_the_emulator(board_id: str) -> None:
    manifest = json.loads((EMULATOR / f"{board_id}.json").read_text(encoding="utf-8"))
    board = find_board(board_id)
    flash, sram = board.regions
    assert (flash.kind, sram.kind) == ("flash", "sram")
    assert board.flash_limit_bytes == flash.length_bytes == manifest["upload"]["maximum_size"]
    assert board.sram_limit_bytes == sram.length_bytes == manifest["upload"]["maximum_ram_size"]
    assert flash.origin == int(manifest["build"]["flash_origin"], 0)
    assert sram.origin == int(manifest["build"]["sram_origin"], 0)
    assert [(entry.name, entry.size_bytes) for entry in board.reservations] == [
        ("stack", manifest["build"]["stack_size"])
    ]
    assert (board.name, board.core) == (manifest["name"], manifest["build"]["cpu"])
    assert board.fpu == bool(manifest["build"].get("fpu"))
    assert board.clock_hz == int(manifest["build"]["f_cpu"].rstrip("L"))


def test_every_emulated_board_has_a_file() -> None:
    assert {path.stem for path in EMULATOR.glob("*.json")} == set(STANDS_FOR)


@pytest.mark.parametrize(("emulated", "real"), [pair for pair in STANDS_FOR.items() if pair[1]])
def test_emulated_boards_have_the_memory_they_stand_for(emulated: str, real: str) -> None:
    one, other = find_board(emulated), find_board(real)
    assert (one.flash_limit_bytes, one.sram_limit_bytes) == (other.flash_limit_bytes, other.sram_limit_bytes)
    assert one.core == other.core


@pytest.mark.skipif(not MAPS.is_dir(), reason="the shared maps are not here")
@pytest.mark.parametrize(("name", "board_id"), [("esp32_app", "esp32dev"), ("esp32c3_app", "esp32-c3-devkitm-1")])
def test_memory_of_real_maps_lies_in_the_regions(name: str, board_id: str) -> None:
    text = lzma.decompress((MAPS / f"{name}.map.xz").read_bytes()).decode("utf-8")
    memory = text.partition("Memory Configuration")[2].partition("Linker script and memory map")[0]
    rows = re.findall(r"^(\w+)\s+0x(\w+)\s+0x(\w+) ", memory, re.MULTILINE)
    assert len(rows) >= 5
    for segment, origin, length in rows:
        region = find_board(board_id).region_at(int(origin, 16))
        assert region is not None, segment
        assert int(origin, 16) + int(length, 16) <= region.end, segment


def test_unknown_board_names_the_nearest() -> None:
    with pytest.raises(BoardError) as caught:
        find_board("nano33BEL")
    assert "nano33ble" in caught.value.hint
    assert "custom_tflm_board" in caught.value.hint
    assert caught.value.exit_code == ExitCode.INPUT


def test_unknown_board_unlike_any_lists_all() -> None:
    with pytest.raises(BoardError) as caught:
        find_board("?" * 100_000)
    assert all(board_id in caught.value.hint for board_id in known_board_ids())
    assert len(str(caught.value)) < 1000


def test_known_boards_need_no_pyyaml_and_few_modules() -> None:
    program = (
        "import sys; sys.modules['yaml'] = None\n"
        "from platformio_tflm.core import boards\n"
        "early = {'json', 'difflib', 'yaml'} & {name for name, module in sys.modules.items() if module}\n"
        "assert not early, early\n"
        "print(boards.find_board('nano33ble').name)\n"
        "try: boards.board_from_yaml('id: x', 'mine.yaml')\n"
        "except boards.BoardError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("Arduino Nano 33 BLE\nmine.yaml: PyYAML is needed")
    assert "-m pip install pyyaml" in done.stdout
    assert sys.executable in done.stdout


def test_a_board_file_of_ones_own() -> None:
    board = board_from_yaml(VALID, "mine.yaml")
    assert (board.id, board.name, board.source, board.core) == ("mine", "My board", "mine.yaml", "cortex-m4")
    assert (board.fpu, board.clock_hz) == (True, 64_000_000)
    assert (board.flash_limit_bytes, board.sram_limit_bytes) == (1 << 20, 1 << 18)
    assert [(region.name, region.origin, region.length_bytes) for region in board.regions] == [
        ("flash", 0x08000000, 1 << 20),
        ("sram", 0x20000000, 1 << 18),
    ]
    assert [(entry.name, entry.size_bytes) for entry in board.reservations] == [("stack", 1024), ("radio", 20_480)]


@pytest.mark.parametrize(("old", "new", "expected"), WRONG)
def test_wrong_board_files(old: str, new: str, expected: str) -> None:
    assert old in VALID
    with pytest.raises(BoardError) as caught:
        board_from_yaml(VALID.replace(old, new, 1), "mine.yaml")
    assert expected in caught.value.what
    assert caught.value.where.startswith("mine.yaml")
    assert "boards/README.md" in caught.value.hint


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = VALID.replace("fpu: true", "fpu: 1").replace("kind: flash", "kind: flush").replace("20K", "plenty")
    with pytest.raises(BoardError) as caught:
        board_from_yaml(text, "mine.yaml")
    assert re.findall(r"line (\d+)", caught.value.what) == ["3", "8", "12"]
    assert caught.value.what.startswith("3 problems")


def test_unreadable_board_files(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="cannot be read"):
        board_from_file(tmp_path / "absent.yaml", "absent.yaml")
    with pytest.raises(BoardError, match="cannot be read"):
        board_from_file(tmp_path, "a folder")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9")
    with pytest.raises(BoardError, match="byte 6 is not UTF-8"):
        board_from_file(tmp_path / "latin.yaml", "latin.yaml")
    (tmp_path / "marked.yaml").write_bytes(b"\xef\xbb\xbf" + VALID.encode())
    assert board_from_file(tmp_path / "marked.yaml", "marked.yaml").id == "mine"
    (tmp_path / "long.yaml").write_bytes(b" " * (MAX_BOARD_FILE_BYTES * 4))
    with pytest.raises(BoardError, match="longer than"):
        board_from_file(tmp_path / "long.yaml", "long.yaml")


def test_fallback_on_platformio_limits() -> None:
    board = board_from_limits("bluepill_f103c8", "BluePill", 65_536, 20_480, "stm32f103c8t6", 72_000_000)
    assert (board.flash_limit_bytes, board.sram_limit_bytes, board.regions) == (65_536, 20_480, ())
    assert "PlatformIO's board manifest" in board.source
    with pytest.raises(BoardError, match=r"gives no limits \(flash 0 bytes"):
        board_from_limits("strange", "Strange", 0, 20_480, "", 0)


def test_reservations_follow_the_map() -> None:
    board = board_from_yaml(VALID, "mine.yaml")
    names = [[entry.name for entry in board.reserved(*linked)] for linked in ((), ([".stack"],))]
    assert names == [["stack"], []]
    assert [entry.name for entry in board.reserved([], [r"C:\lib\libradio.a"])] == ["stack", "radio"]
    assert [entry.name for entry in board.reserved([], ["lib/libradio.a.bak", "libother.a"])] == ["stack"]


def test_limits_that_the_build_knows_better() -> None:
    board = find_board("esp32dev")
    assert (board.flash_limit_bytes, board.program_limit_bytes) == (4_194_304, 1_310_720)
    wide = board.with_limits(flash_limit_bytes=3_145_728)
    assert (wide.flash_limit_bytes, wide.program_limit_bytes) == (3_145_728, 3_145_728)
    assert wide.sram_limit_bytes == board.sram_limit_bytes
    assert board.with_limits() == board
    assert find_board("uno").program_limit_bytes == 32_256


def test_region_of_an_address() -> None:
    board = find_board("nucleo_f746zg")
    names = [
        region.name if (region := board.region_at(address)) else None
        for address in (0x0, 0x3FFF, 0x4000, 0x08000000, 0x2000FFFF, 0x20010000, 0x2004FFFF, 0x20050000)
    ]
    assert names == ["itcm", "itcm", None, "flash", "dtcm", "sram1", "sram2", None]


def test_readme_shows_a_file_that_is_accepted() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    assert board_from_yaml(example, "boards/README.md").regions
    assert all(f"`{kind}`" in text for kind in REGION_KINDS)


@given(st.integers(0, 1 << 20), st.sampled_from(["", "K", "M", "KiB", " KB"]))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_sizes(number: int, unit: str) -> None:
    factor = {"": 1, "K": 1024, "M": 1024 * 1024}[unit.strip()[:1]]
    assert size_from_text(f"{number}{unit}") == number * factor
    assert size_from_text(f"{number:#x}") == size_from_text(number) == number


@pytest.mark.parametrize(
    "text", ["", "K", "1.5K", "-1", "1 cow", "0x", "\uff11\uff12", "1e3", "1KK", "9" * 40, None, True, 1.0, [1]]
)
def test_sizes_that_are_none(text: object) -> None:
    assert size_from_text(text) is None


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["64K", "flash"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "size", "source", "name", "origin", "regions", "limits"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["id", "name", "processor", "limits", "regions", "reserved"]), PLAIN) | PLAIN)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_any_plain_data_is_a_board_or_a_board_error(data: object) -> None:
    with pytest.raises(BoardError) as caught:
        board_from_mapping(data, "fuzz.yaml")
    assert len(str(caught.value)) < 20_000


@given(st.text(max_size=200) | st.binary(max_size=80).map(lambda data: data.decode("latin-1")))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_any_text_is_a_board_error(text: str) -> None:
    with pytest.raises(BoardError):
        board_from_yaml(text, "fuzz.yaml")


@given(st.integers(0, len(VALID) - 1), st.integers(0, 40), st.text(max_size=6))
@settings(derandomize=True, deadline=None, max_examples=300)
def test_a_damaged_file_is_a_board_or_a_board_error(start: int, length: int, inserted: str) -> None:
    text = VALID[:start] + inserted + VALID[start + length :]
    try:
        board = board_from_yaml(text, "fuzz.yaml")
    except BoardError:
        return
    assert board.regions
    assert board.flash_limit_bytes > 0


def test_values_are_never_executed(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with pytest.raises(BoardError):
        board_from_yaml(f"!!python/object/apply:os.mkdir ['{target}']", "evil.yaml")
    assert not target.exists()
    assert yaml.safe_load("a: 1") == {"a": 1}


def test_packed_file_lies_in_the_package() -> None:
    packed = Path(boards.__file__).resolve().parents[1] / "boards.json"
    assert json.loads(packed.read_text(encoding="utf-8")).keys() == set(known_board_ids())

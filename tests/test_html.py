"""The HTML report as text: one safe, self-contained, well-formed file; what it does in a browser is test_html_browser.py's."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import html_samples as samples
import pytest
from project import HELLO_WORLD, REPOSITORY, Make

from platformio_tflm.cli import main
from platformio_tflm.core.report import SHARED_BY_SEVERAL, OperatorFlash, Report
from platformio_tflm.core.report.detail import Detail
from platformio_tflm.errors import UsageError
from platformio_tflm.extras import require_jinja2
from platformio_tflm.render.html_report import render_html

VOID = {"meta", "link", "input", "br"}
CASES = pytest.mark.parametrize(
    "case",
    [samples.fitting, samples.exceeding, samples.hostile, samples.changed, samples.unchanged],
    ids=lambda case: case.__name__,
)


class Page(HTMLParser):
    """Elements with their attributes, and texts by element; complains about elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice"
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def data(self) -> dict[str, object]:
        return json.loads(next(text for text in self.texts["script"] if text.startswith("{")))


@CASES
def test_one_file_that_asks_for_nothing(case) -> None:  # type: ignore[no-untyped-def]
    text = render_html(*case())
    page = Page(text)
    loading = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster", "background")
    ]
    assert sorted(set(loading)) == ["#explorer", "data:,"]
    # Names from elsewhere may have addresses in them; what is ours has none.
    assert not re.findall(r"https?:|url\(|@import", render_html(*samples.fitting()))
    assert {name for _, attributes in page.elements for name in attributes if name.startswith("on")} == set()
    assert not [attributes for _, attributes in page.elements if "style" in attributes]


@CASES
def test_the_policy_names_what_is_inside(case) -> None:  # type: ignore[no-untyped-def]
    page = Page(render_html(*case()))
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    scripts = [text for text in page.texts["script"] if not text.startswith("{")]
    for rule, (content,) in (("script-src", scripts), ("style-src", page.texts["style"])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


@CASES
def test_ids_labels_and_headings(case) -> None:  # type: ignore[no-untyped-def]
    page = Page(render_html(*case()))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
    headings = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    for attributes in page.all("section"):
        assert attributes["aria-labelledby"]
    for attributes in page.all("svg"):
        drawn_inside = attributes.get("class", "").split()[0] == "buffer"
        assert drawn_inside or attributes.get("aria-hidden") or attributes.get("aria-label"), attributes
    for attributes in page.all("th"):
        assert attributes["scope"] in ("row", "col", "rowgroup")
    assert page.elements[0] == ("html", {"lang": "en"})


def test_what_is_foreign_stays_text() -> None:
    text = render_html(*samples.hostile())
    page = Page(text)
    assert len(page.all("script")) == 2
    assert "alert(1)</script>" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert page.texts["h3"].count("</script><script>alert(1)</script><!--\"'&??[31m") == 1
    assert "<" not in next(text for text in page.texts["script"] if text.startswith("{"))


def test_what_it_says() -> None:
    text = " ".join(
        re.sub(
            r"<(?:style|script)[^>]*>.*?</(?:style|script)>", " ", render_html(*samples.fitting()), flags=re.DOTALL
        ).split()
    )
    for words in (
        "444,120</span> of 983,040 bytes used, 45.2 %",
        "2,048 more reserved",
        "Flash: 538,920 bytes free",
        "Arduino Nano 33 BLE (nano33ble)",
        "verified byte for byte in ELF and HEX",
        "has no line for it.<br>Add heap = 8K.",
        "DEPTHWISE_CONV_2D \u00d713",
        "step 5, CONV_2D_4",
        "5 (CONV_2D_4) to 6 (CONV_2D_5)",
        "of 262,144 bytes allowed",
        "variable person_detect_arena",
        '<li class="advice"><strong>advice</strong>',
    ):
        assert words in text
    over = render_html(*samples.exceeding())
    assert "52,428 bytes too many" in over
    assert 'class="limit"' in over
    assert "301 buffers more" in re.sub(r"\s+", " ", over) or "300 buffers more" in re.sub(r"\s+", " ", over)


def test_what_changed() -> None:
    page = Page(render_html(*samples.changed()))
    assert "Since ci/report.json" in page.texts["h2"]
    cells = [text.strip() for text in page.texts["td"]]
    start = cells.index("444,120")
    assert cells[start : start + 4] == ["444,120", "448,068", "+3,948", "+0.9 %"]
    assert {"Category, flash", "SRAM budget", "Operator", "Model"} <= set(page.texts["th"])
    assert "library version: 2.4.0-ALPHA \u2192 2.5.0" in page.texts["li"]
    same = render_html(*samples.unchanged())
    assert "Nothing changed: flash 444,120 bytes" in same
    assert 'class="changes"' not in same
    assert "Since " not in " ".join(Page(render_html(*samples.fitting())).texts["h2"])


def test_the_tree_is_inside_to_the_byte() -> None:
    report, detail = samples.fitting()
    data = Page(render_html(report, detail)).data()
    kinds, tree = data["kinds"], data["tree"]
    assert kinds[tree[0]] == "memory"
    assert (tree[2], tree[3]) == (report.memory.flash.used_bytes, report.memory.sram.used_bytes)
    assert sum(child[2] for child in tree[5]) == tree[2]


@CASES
def test_same_report_same_bytes(case) -> None:  # type: ignore[no-untyped-def]
    assert render_html(*case()) == render_html(*case())


def many_symbols(count: int) -> tuple[Report, Detail]:
    report = samples.person_detect()
    names = [
        samples.leaf(f"tflite::micro::SomeClassWithALongName::Method{index}", 10, "flash") for index in range(count)
    ]
    objects = [samples.above(f"object_{at}.cc.o", "object", names[at : at + 20]) for at in range(0, count, 20)]
    return report, Detail(
        samples.above(
            "memory", "memory", [samples.above("FLASH", "region", [samples.above("other", "category", objects)])]
        )
    )


def test_size_and_time() -> None:
    start = time.perf_counter()
    small, large = (len(render_html(*many_symbols(count)).encode()) for count in (5_000, 20_000))
    assert small < 800_000
    assert large < 3_000_000
    assert time.perf_counter() - start < 5


def test_the_least_a_report_can_say() -> None:
    report, _ = samples.fitting()
    bare = replace(report, models=(), regions=(), operators=(), categories=(), messages=(), image_bytes=0)
    page = Page(render_html(bare, Detail(samples.above("memory", "memory", []))))
    assert page.all("main")


def test_what_operators_share_has_a_bar_of_the_same_scale() -> None:
    report, detail = samples.fitting()
    operators = (OperatorFlash("CONV_2D", 9_000), OperatorFlash(SHARED_BY_SEVERAL, 36_000))
    page = render_html(replace(report, operators=operators), detail)
    rows = page.partition("operators-caption")[2].partition("</table>")[0]
    assert re.findall(r'class="fill" width="([\d.]+)%"', rows) == ["25.000", "100.000"]


def test_jinja2_is_asked_for_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(
        UsageError, match=r"the HTML report is made with Jinja2, and the Python in .* lacks it"
    ) as caught:
        require_jinja2("--html")
    assert "-m pip install jinja2" in str(caught.value)


def test_from_a_build_and_from_the_command_line(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    project = make().ini("custom_tflm_report = html, json")
    project.run()
    folder = project.build_dir / "tflm"
    built = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(built)
    figures = json.loads((folder / "report.json").read_text())["memory"]
    assert page.data()["tree"][2:4] == [figures["flash"]["used_bytes"], figures["sram"]["used_bytes"]]
    assert str(project.path) not in built
    assert not (folder / "report.txt").exists()
    before = project.stamps()
    project.run()
    assert project.stamps() == before
    made = project.path / "made.html"
    code = main([
        "report", "--elf", str(project.elf), "--map", str(project.build_dir / "firmware.map"), "--board", "nano33ble",
        "--model", str(HELLO_WORLD), "--html", str(made),
    ])  # fmt: skip
    assert code == 0
    assert "TensorFlow Lite Micro report" in capsys.readouterr().out
    assert Page(made.read_text(encoding="utf-8")).data() == page.data()


def test_without_jinja2_nothing_is_compiled(make: Make) -> None:
    project = make().ini("custom_tflm_report = html", "extra_scripts = pre:without.py")
    project.write("without.py", "import sys\nsys.modules['jinja2'] = None\n")
    done = project.fail()
    assert "custom_tflm_report = html: error: the HTML report is made with Jinja2, and the Python in " in done.stderr
    assert "-m pip install jinja2" in done.stderr
    assert "Compiling" not in done.output
    assert "Traceback" not in done.output


def test_templates_are_shipped() -> None:
    setup = (REPOSITORY / "setup.py").read_text()
    assert '"platformio_tflm.render": ["templates/*"]' in setup

"""Markdown as GitHub's own parser reads it, and workflow commands as GitHub's runner reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import example, given
from hypothesis import strategies as st
from test_diff import NAMES, QUICK, grown
from test_render import DIFFS, REPORTS, array_only, person_detect, several_models, too_large

from platformio_tflm.core.diff import MaxGrowth, diff_reports, growth_excesses, with_baseline
from platformio_tflm.core.report import Message, OperatorFlash, Report
from platformio_tflm.core.report.changes import ReportDiff
from platformio_tflm.render.github import annotation, render_diff_github, render_github
from platformio_tflm.render.markdown import MAX_ROWS, code, prose, render_diff_markdown, render_markdown

Golden = Callable[[str, str], None]

# What the renderer itself makes; whatever else turns up came in with a name.
OWN_TAGS = {
    *("h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td"),
    *("ul", "li", "strong", "code", "br", "details", "summary"),
}
NASTY = [
    "<script>alert(1)</script>",
    "</code><img src=x onerror=alert(1)>",
    "a | b \\| c",
    "`code` ``more``",
    "*bold* _em_ __init__ ~~gone~~",
    "[text](https://example.org) ![image](x.png)",
    "https://example.org www.example.org WWW.example.org www.",
    "me@example.org mailto:me@example.org xmpp:me@example.org ftp://example.org",
    "@octocat #1 GH-1 owner/name#1",
    "&lt;b&gt; &#60;i&#62; &amp;",
    "$x^2$ :tada: [x] [^1]",
    "\n\n# heading\n- item\n1. one\n> quote\n---\n```\nfence",
    "a\rb\x00c\x1b[31md\u2028e\u202ef",
    "<!-- comment --> <?php ?> <![CDATA[x]]>",
    "\\",
    "größe モデル",
    "",
    " ",
]


@dataclass
class Seen(HTMLParser):
    """Tags in order, the text inside of code, and how many cells each row of a table has."""

    tags: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    inside: int = 0
    ragged: bool = False

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag in ("th", "td") or not attrs, (tag, attrs)
        if tag == "code":
            self.codes.append("")
            self.inside += 1
        if tag == "tr":
            self.cells.append(0)
        if tag in ("th", "td"):
            self.cells[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        self.inside -= tag == "code"
        if tag == "table":
            self.ragged |= len(set(self.cells)) > 1
            self.cells = []

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.codes[-1] += data


def read(markdown: str) -> Seen:
    html = cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE)
    seen = Seen()
    seen.feed(html)
    seen.close()
    return seen


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("report_fits.md", person_detect),
        ("report_exceeded.md", too_large),
        ("report_array_only.md", array_only),
        ("report_several_models.md", several_models),
        ("report_baseline.md", lambda: with_baseline(grown(), person_detect(), "ci/report.json")),
        ("report_baseline_same.md", lambda: with_baseline(person_detect(), person_detect(), "ci/report.json")),
    ],
)
def test_markdown(name: str, report: Callable[[], Report], golden: Golden) -> None:
    text = render_markdown(report())
    golden(name, text)
    seen = read(text)
    assert set(seen.tags) <= OWN_TAGS
    assert not seen.ragged
    assert seen.tags.count("table") >= 2


def test_markdown_of_a_difference(golden: Golden) -> None:
    made = diff_reports(person_detect(), grown(), names=NAMES)
    text = render_diff_markdown(made, growth_excesses(made, MaxGrowth("1000", size_bytes=1000)))
    golden("diff_grown.md", text)
    assert not read(text).ragged


@given(st.text(max_size=60) | st.sampled_from(NASTY) | st.text("*_`~[]()<>&!|\\$:/@#w.a0 -", max_size=40))
@example("a_b_ _c d__e")
@QUICK
def test_a_name_stays_a_name(name: str) -> None:
    """In a table, where a bar would be worst: no tags come of it, and what is read is what was written."""
    seen = read(f"| a | b |\n| --- | --- |\n| {code(name)} | {prose(name)} |\n")
    assert seen.tags.count("td") == 2
    assert set(seen.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "code", "br"}
    printable = "".join(letter if letter.isprintable() else "?" for letter in name).strip()
    assert [text.strip() for text in seen.codes] == [printable.replace("@", "@\u2060")]


@given(REPORTS)
@QUICK
def test_any_report_is_markdown_of_ours_alone(report: Report) -> None:
    seen = read(render_markdown(report))
    assert set(seen.tags) <= OWN_TAGS
    assert not seen.ragged
    assert seen.inside == 0


@given(DIFFS)
@QUICK
def test_any_difference_is_markdown_of_ours_alone(diff: ReportDiff) -> None:
    seen = read(render_diff_markdown(diff))
    assert set(seen.tags) <= OWN_TAGS
    assert not seen.ragged


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
def test_markdown_of_nasty_names(nasty: str) -> None:
    report = named(nasty)
    plain, seen = read(render_markdown(named("plain"))), read(render_markdown(report))
    without_breaks = [tag for tag in seen.tags if tag != "br"]
    assert without_breaks == [tag for tag in plain.tags if tag != "br"]


def test_nobody_is_called_and_nothing_is_linked() -> None:
    """GitHub makes its links after it has read the Markdown, from the text outside of code."""
    text = prose("@octocat and #1")
    assert (
        re.sub("<[^>]*>", "", cmarkgfm.github_flavored_markdown_to_html(text)).strip() == "@\u2060octocat and #\u20601"
    )


def test_a_summary_has_a_bound() -> None:
    """GitHub takes 1 MiB."""
    report = replace(
        person_detect(),
        operators=tuple(OperatorFlash(f"{index}|" * 20_000, index) for index in range(300)),
        messages=tuple(Message("warning", f"{index}|" * 20_000) for index in range(300)),
    )
    text = render_markdown(with_baseline(report, array_only(), "x" * 100_000))
    assert len(text.encode()) < 1 << 20
    assert f"| {300 - MAX_ROWS} more |" in text
    assert f"- {300 - MAX_ROWS} more" in text


def named(name: str) -> Report:
    """Every text that a file could have put there is *name*."""
    report = grown()
    model = replace(report.models[0], name=name, path=name, verified=(name,))
    return with_baseline(
        replace(
            report,
            tool=replace(report.tool, version=name),
            project=replace(report.project, build_type=name or "-"),
            board=replace(report.board, id=name, name=name),
            runtime=replace(report.runtime, library="library" + name, version=name),
            models=(model,),
            regions=tuple(replace(entry, name=name) for entry in report.regions),
            categories=tuple(replace(entry, name=name) for entry in report.categories),
            operators=tuple(replace(entry, name=name) for entry in report.operators),
            messages=(Message("warning", f"{name} is aligned"), Message("note", f"about {name}")),
        ),
        person_detect(),
        name,
    )


# How actions/runner reads a line (ActionCommand.TryParseV2).
COMMAND = re.compile(r"::(error|warning|notice) file=([^,:]*),title=([^,:]*)::(.*)", re.DOTALL)


def decoded(text: str) -> str:
    for escape, letter in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, letter)
    return text


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("report_fits_github.txt", person_detect),
        ("report_exceeded_github.txt", too_large),
        ("report_baseline_github.txt", lambda: with_baseline(grown(), person_detect(), "ci/report.json")),
        ("report_baseline_same_github.txt", lambda: with_baseline(person_detect(), person_detect(), "ci/report.json")),
    ],
)
def test_annotations(name: str, report: Callable[[], Report], golden: Golden) -> None:
    text = render_github(report())
    golden(name, text)
    assert all(COMMAND.fullmatch(line) for line in text.splitlines())


def test_annotations_of_a_difference(golden: Golden) -> None:
    made = diff_reports(person_detect(), grown(), names=NAMES)
    golden("diff_grown_github.txt", render_diff_github(made, growth_excesses(made, MaxGrowth("1000", size_bytes=1000))))


def test_an_annotation_is_escaped() -> None:
    line = annotation("error", "a,b:c.ini", "50 %: x\ny", "100 %,\r\n::error::b %0A")
    assert line == "::error file=a%2Cb%3Ac.ini,title=50 %25%3A x%0Ay::100 %25,%0A::error::b %250A"


@given(st.text(), st.text(), st.text())
@example("a::b", "c,file=d", "\n::stop-commands::x\r::add-mask::y\u2028::z")
@QUICK
def test_any_annotation_is_one_command(file: str, title: str, text: str) -> None:
    line = annotation("warning", file, title, text)
    assert line.isprintable()
    found = COMMAND.fullmatch(line)
    assert found
    assert [decoded(part) for part in found.groups()[1:]] == [
        "\n".join("".join(letter if letter.isprintable() else "?" for letter in row) for row in part.splitlines())
        for part in (file, title, text)
    ]


@given(REPORTS)
@QUICK
def test_any_report_is_annotations_alone(report: Report) -> None:
    text = render_github(report)
    lines = text.removesuffix("\n").split("\n")
    assert all(COMMAND.fullmatch(line) and line.isprintable() for line in lines)
    assert len(lines) == 1 + (report.baseline is not None) + len(report.messages)


@given(DIFFS)
@QUICK
def test_any_difference_is_annotations_alone(diff: ReportDiff) -> None:
    assert COMMAND.fullmatch(render_diff_github(diff).removesuffix("\n"))


def test_errors_come_before_what_github_leaves_out() -> None:
    report = too_large()
    notes = tuple(Message("note", f"note {index}") for index in range(20))
    lines = render_github(replace(report, messages=(*notes, *report.messages))).splitlines()
    assert [line.split(" ")[0] for line in lines[:4]] == ["::notice", "::error", "::error", "::notice"]

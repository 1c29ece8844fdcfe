"""The HTML report in a real browser: drilling down by keyboard, search, sort, colour schemes, contrast, narrow pages."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import html_samples as samples
import pytest
from browser import Browser, what_is_missing
from test_html import many_symbols

from platformio_tflm.render.html_report import render_html

MISSING = what_is_missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{MISSING}: tools/install_tools.sh installs it on Debian")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("html")
    for case in (samples.fitting, samples.exceeding, samples.hostile, samples.changed):
        (folder / f"{case.__name__}.html").write_text(render_html(*case()), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(started: Browser, folder: Path) -> Browser:
    started.show(1280, 900)
    started.open(folder / "fitting.html")
    started.console()
    return started


def crumbs(browser: Browser) -> list[str]:
    return browser.run("return [...document.querySelectorAll('#crumbs button')].map((button) => button.textContent)")


def focused(browser: Browser) -> str:
    return browser.run("return document.activeElement.getAttribute('aria-label') || document.activeElement.outerHTML")


def rows(browser: Browser, table: str) -> list[list[str]]:
    script = "return [...document.querySelector(arguments[0]).tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.firstChild ? cell.firstChild.textContent : ''))"
    return browser.run(script, table)


def into_map(browser: Browser) -> None:
    browser.run("document.querySelector('#map button[tabindex=\"0\"]').focus()")


def test_no_complaints_and_no_requests(browser: Browser, folder: Path) -> None:
    for name in ("fitting", "exceeding", "hostile", "changed"):
        browser.open(folder / f"{name}.html")
        assert browser.console() == []
        assert browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []
        assert browser.run("return document.scripts.length") == 2
        assert browser.run("return document.querySelectorAll('#map button').length") > 10


def test_the_policy_holds(browser: Browser) -> None:
    """What should ever slip through could neither run nor fetch."""
    browser.run(
        "const s = document.createElement('script'); s.textContent = 'window.broken = 1'; document.body.append(s)"
    )
    browser.run("const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i)")
    assert browser.run("return window.broken === undefined")
    assert len([line for line in browser.console() if "Content Security Policy" in line]) == 2


def test_drill_down_by_keyboard(browser: Browser) -> None:
    into_map(browser)
    assert crumbs(browser) == ["Flash", "FLASH"]
    assert focused(browser).startswith("category model: 300,568 bytes, 67.7 %")
    browser.press("Enter")
    assert crumbs(browser) == ["Flash", "FLASH", "model"]
    assert focused(browser).startswith("archive libmodel.a: ")
    browser.press("Enter", "Enter")
    assert crumbs(browser)[2:] == ["model", "libmodel.a", "model_0.o"]
    assert focused(browser).startswith("symbol symbol_model_0_0: ")
    browser.press("Enter")
    assert len(crumbs(browser)) == 5, "a symbol has nothing inside"
    browser.press("Escape")
    assert crumbs(browser)[2:] == ["model", "libmodel.a"]
    assert focused(browser).startswith("object model_0.o: "), "the focus is where it was"
    browser.press("Escape", "Escape", "Escape", "Escape")
    assert crumbs(browser) == ["Flash"]


def test_arrow_keys_move_the_focus_and_it_is_seen(browser: Browser) -> None:
    into_map(browser)
    seen = {focused(browser)}
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft"):
        browser.press(key)
        seen.add(focused(browser))
    assert len(seen) >= 5
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert browser.run("return document.querySelectorAll('#map [tabindex=\"0\"]').length") == 1
    assert browser.run("return document.querySelectorAll('#info b').length") == 1


def test_from_the_top_by_tab_alone(browser: Browser) -> None:
    browser.press("Tab")
    assert "Skip to the map" in focused(browser)
    for _ in range(12):
        browser.press("Tab")
        if "category" in focused(browser):
            break
    assert focused(browser).startswith("category model")
    browser.press("Enter")
    assert crumbs(browser)[-1] == "model"


def test_the_table_is_the_map(browser: Browser) -> None:
    for _ in range(3):
        parts = rows(browser, "#parts")
        sizes = [int(part[1].replace(",", "")) for part in parts]
        assert sizes == sorted(sizes, reverse=True)
        caption = browser.run("return document.getElementById('parts-caption').textContent")
        assert f": {sum(sizes):,} bytes in {len(sizes):,} part" in caption
        browser.run("document.querySelector('#parts tbody button').click()")
    assert crumbs(browser) == ["Flash", "FLASH", "model", "libmodel.a", "model_0.o"]
    browser.run("document.querySelector('#crumbs button').click()")
    assert crumbs(browser) == ["Flash"]


def test_cells_lie_inside_and_areas_follow_bytes(browser: Browser) -> None:
    script = """
      const map = document.getElementById('map').getBoundingClientRect();
      return [...document.querySelectorAll('#map button')].map((cell) => {
        const box = cell.getBoundingClientRect();
        return [cell.getAttribute('aria-label'), box.left - map.left, box.top - map.top, map.right - box.right, map.bottom - box.bottom, box.width * box.height];
      });"""
    cells = browser.run(script)
    assert all(min(cell[1:5]) > -0.6 for cell in cells)
    total = browser.run("const map = document.getElementById('map'); return map.clientWidth * map.clientHeight")
    model = next(cell for cell in cells if cell[0].startswith("category model"))
    assert model[5] / total == pytest.approx(300_568 / 444_120, rel=0.01)


def test_sram_and_back(browser: Browser) -> None:
    browser.run("document.querySelector('input[name=memory][value=sram]').click()")
    assert crumbs(browser) == ["SRAM", "RAM"]
    assert rows(browser, "#parts")[0][:2] == ["arena", "86,016"]
    browser.run("history.back()")
    wait_for(browser, "return document.querySelector('#crumbs button').textContent", "Flash")
    assert browser.run("return document.querySelector('input[name=memory]:checked').value") == "flash"


def wait_for(browser: Browser, script: str, value: Any) -> None:
    until = time.monotonic() + 5
    while browser.run(script) != value:
        assert time.monotonic() < until, browser.run(script)
        time.sleep(0.02)


def search(browser: Browser, text: str) -> None:
    browser.run("const field = document.getElementById('search'); field.value = ''; field.focus()")
    browser.press(text)


def test_search(browser: Browser) -> None:
    search(browser, "LIBC_0 libc.a _12")
    found = rows(browser, "#symbols")
    assert [row[0] for row in found] == ["symbol_libc_0_12"]
    assert browser.run("return document.getElementById('found').textContent").startswith("1 of ")
    search(browser, "no such symbol")
    assert rows(browser, "#symbols") == []


def test_sort(browser: Browser) -> None:
    def column(index: int) -> list[str]:
        return [row[index] for row in rows(browser, "#symbols")]

    def click(name: str) -> str | None:
        return browser.run(
            "const head = document.querySelector(`#symbols [data-column=${arguments[0]}]`);"
            "head.querySelector('button').click(); return head.getAttribute('aria-sort')",
            name,
        )

    flash = [int(text.replace(",", "")) for text in column(3)]
    assert flash == sorted(flash, reverse=True)
    assert click("sram") == "descending"
    sram = [int(text.replace(",", "")) for text in column(4)]
    assert sram == sorted(sram, reverse=True)
    assert sram[0] > 1000
    assert click("name") == "ascending"
    assert column(0) == sorted(column(0))
    assert click("name") == "descending"
    assert column(0) == sorted(column(0), reverse=True)
    assert browser.run("return document.querySelectorAll('#symbols [aria-sort]').length") == 1


def test_objects_and_more_rows(browser: Browser) -> None:
    assert len(rows(browser, "#symbols")) == 50
    browser.run("document.getElementById('more').click()")
    assert len(rows(browser, "#symbols")) == 100
    browser.run("document.querySelector('input[name=rows][value=objects]').click()")
    objects = rows(browser, "#symbols")
    assert len(objects) == 27
    assert browser.run("return document.getElementById('more').hidden")
    text = browser.run("return document.getElementById('found').textContent")
    assert text == "27 objects: 444,120 bytes of flash, 151,512 bytes of SRAM. All are shown."


def test_twenty_thousand_symbols(browser: Browser, folder: Path) -> None:
    (folder / "many.html").write_text(render_html(*many_symbols(20_000)), encoding="utf-8")
    browser.open(folder / "many.html")
    assert browser.run("return document.getElementById('found').textContent").startswith(
        "20,000 symbols: 200,000 bytes"
    )
    took = browser.run(
        "const start = performance.now(); const field = document.getElementById('search'); field.value = 'method1999';"
        "field.dispatchEvent(new Event('input')); return performance.now() - start"
    )
    assert len(rows(browser, "#symbols")) == 11
    assert took < 2000, "typing must not wait"
    assert browser.run("return document.querySelectorAll('#map button').length") <= 500
    # Not all parts are listed beside the map; it says how many are not.
    assert browser.run("return document.querySelector('#parts tbody tr:last-child th').textContent").startswith(
        "800 smaller"
    )


CONTRAST = """
  const luminance = (colour) => {
    const [r, g, b] = colour.map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const drawn = at.tagName === 'svg' && at.classList.contains('buffer') ? parse(getComputedStyle(at.querySelector('rect')).fill) : parse(getComputedStyle(at).backgroundColor);
      if (drawn.length === 3 || drawn[3] === 1) return drawn.slice(0, 3);
    }
    return parse(getComputedStyle(document.documentElement).backgroundColor);
  };
  const bad = [];
  let count = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.getClientRects().length || ['SCRIPT', 'STYLE', 'TITLE', 'title'].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const front = luminance(parse(element.tagName === 'text' ? style.fill : style.color).slice(0, 3)), back = luminance(behind(element));
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    count += 1;
    if (ratio < 4.5) bad.push([ratio.toFixed(2), element.className.baseVal || element.className, walker.currentNode.textContent.trim().slice(0, 40)]);
  }
  return [count, bad];
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["fitting", "exceeding", "changed"])
def test_contrast_of_every_text(browser: Browser, folder: Path, name: str, dark: bool) -> None:
    browser.show(1280, 900, dark=dark)
    browser.open(folder / f"{name}.html")
    back = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert back == ("rgb(15, 20, 25)" if dark else "rgb(255, 255, 255)")
    count, bad = browser.run(CONTRAST)
    assert count > 300
    assert bad == [], "WCAG AA wants 4.5"


@pytest.mark.parametrize("width", [400, 1600])
def test_no_page_wider_than_the_window(browser: Browser, folder: Path, width: int) -> None:
    browser.show(width, 900)
    for name in ("fitting", "exceeding", "hostile", "changed"):
        browser.open(folder / f"{name}.html")
        assert browser.run("return document.documentElement.scrollWidth") <= width
        right = browser.run(
            "return Math.max(...[...document.querySelectorAll('#map button')].map((cell) => cell.getBoundingClientRect().right))"
        )
        assert right <= width


def test_a_narrow_page_keeps_words_whole(browser: Browser) -> None:
    browser.show(360, 900)
    heights = "return [...document.querySelectorAll('.budget td:last-child')].map((cell) => cell.getBoundingClientRect().height)"
    assert max(browser.run(heights)) < 200, "where a figure is from stood there letter below letter"


def test_the_map_follows_the_window(browser: Browser) -> None:
    into_map(browser)
    browser.press("Enter")
    browser.show(500, 900)
    wait_for(
        browser,
        "const map = document.getElementById('map').getBoundingClientRect(); return Math.max(...[...document.querySelectorAll('#map button')].map((cell) => cell.getBoundingClientRect().right)) <= map.right + 1",
        True,
    )
    assert focused(browser).startswith("archive libmodel.a: ")
    assert browser.run("const map = document.getElementById('map'); return map.scrollWidth <= map.clientWidth")


def test_nothing_moves_while_the_page_comes_up(browser: Browser, folder: Path) -> None:
    browser.open(folder / "fitting.html")
    shifts = "return new Promise((done) => { new PerformanceObserver((list) => done(list.getEntries().reduce((sum, entry) => sum + entry.value, 0))).observe({ type: 'layout-shift', buffered: true }); setTimeout(() => done(0), 300); })"
    assert browser.run(shifts) == 0


def test_every_control_has_a_name(browser: Browser) -> None:
    nameless = """
      return [...document.querySelectorAll('button, input, summary, [role=region], [role=group], [role=img]')].filter((element) =>
        !(element.getAttribute('aria-label') || element.textContent || (element.labels && element.labels[0].textContent)
          || document.getElementById(element.getAttribute('aria-labelledby'))?.textContent || '').trim()).map((element) => element.outerHTML)"""
    assert browser.run(nameless) == []


@pytest.mark.skipif("PLATFORMIO_TFLM_SHOTS" not in os.environ, reason="PLATFORMIO_TFLM_SHOTS names no folder")
def test_shots(browser: Browser, folder: Path) -> None:
    """Pictures to look at, after a change of the style sheet."""
    target = Path(os.environ["PLATFORMIO_TFLM_SHOTS"])
    for name in ("fitting", "exceeding", "changed"):
        for width, dark in ((1280, False), (1280, True), (400, False)):
            browser.show(width, 900, dark=dark)
            browser.open(folder / f"{name}.html")
            browser.show(width, browser.run("return document.documentElement.scrollHeight"), dark=dark)
            (target / f"{name}-{width}-{'dark' if dark else 'light'}.png").write_bytes(browser.screenshot())

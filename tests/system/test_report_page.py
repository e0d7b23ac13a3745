"""The page of `foxtrackrctl report` in a real browser: drawing, sorting, search, keyboard, policy, sizes and schemes."""

import json
import os
import pathlib
import re
import zlib

import pytest

from browser import Browser
from harness import PATIENCE, find_program
from report_fleet import FULL, MARKUP, NAMES, RECHARGED, SILENT, WARM, make_large, report

WIDTHS = [360, 820, 1440]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(find_program("chromium"), tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(fleet_database, tmp_path_factory):
    target = tmp_path_factory.mktemp("page") / "report.html"
    report(fleet_database, output=target)
    return target.as_uri()


@pytest.fixture
def shown(browser, url):
    """The page, drawn in a wide window. No test leaves an error on the console, or asks for anything but the page."""
    browser.errors.clear()
    browser.requests.clear()
    browser.resize(1440)
    browser.prefer("light")
    browser.open("about:blank")
    browser.open(url)
    browser.wait("document.documentElement.dataset.drawn !== undefined")
    yield browser
    assert browser.errors == []
    assert {request.split("#")[0] for request in browser.requests} <= {"about:blank", url, "data:,"}


def cells(browser, selector):
    """The texts of the cells of the table that a selector finds, in their order."""
    return browser.evaluate(f"Array.from(document.querySelectorAll({json.dumps(selector)}), (cell) => cell.textContent)")


def pixels(browser, selector):
    """How many different colours a canvas shows."""
    return browser.evaluate(f"""(() => {{ const canvas = document.querySelector({json.dumps(selector)});
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {{ willReadFrequently: true }});
        copy.drawImage(canvas, 0, 0);
        const bytes = copy.getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(bytes.buffer)).size; }})()""")


def test_overview_is_drawn(shown):
    """Goal: what needs attention, the accounts, the fleet and the heat map are there at once."""
    assert int(shown.evaluate("document.documentElement.dataset.drawn")) < 10_000 * PATIENCE
    assert shown.evaluate("document.title") == "Fleet report"
    assert cells(shown, ".card h3 .count")[1:3] == ["1", "1"] and cells(shown, ".card h3 .count")[4] == "1"
    assert "5 d" not in cells(shown, "#card-silent li")[0] and NAMES[SILENT] in cells(shown, "#card-silent li")[0]
    assert cells(shown, "#accounts .sum b") == ["35,000", "33,990", "910", "100"]
    assert ["restored (id-a-02)" in text for text in cells(shown, ".losses li")] == [True, False]
    assert "session lost (id-a-01)" in cells(shown, ".losses li")[1]
    assert cells(shown, "#accounts-title") == ["Messages are missing: an older database was put in place"]
    for reasons, title in ((["session lost", "broker changed"], "Every message that arrived is accounted for"), ([], "Nothing was lost")):
        shown.evaluate(f"data.losses.reason = {json.dumps(reasons)}; drawAccounts(); 0")
        assert cells(shown, "#accounts-title") == [title] and len(cells(shown, ".losses li")) == len(reasons)
    assert len(cells(shown, "#fleet tbody tr")) == 50 and cells(shown, "#found") == ["Devices 1 to 50 of 60"]
    assert pixels(shown, "#heat-canvas") > 20
    assert pixels(shown, "#fleet td canvas") > 2


def test_sorting(shown):
    """Goal: a column's heading sorts, once more turns round, and says so to a screen reader."""
    shown.click('th button[data-sort="level"]')
    levels = [int(re.match(r"\d+", text)[0]) for text in cells(shown, "#fleet td.charge")]
    assert levels == sorted(levels)
    assert shown.evaluate('document.querySelector("th[aria-sort]").textContent + document.querySelector("th[aria-sort]").getAttribute("aria-sort")') == "Batteryascending"
    shown.click('th button[data-sort="level"]')
    levels = [int(re.match(r"\d+", text)[0]) for text in cells(shown, "#fleet td.charge")]
    assert levels == sorted(levels, reverse=True) and len(levels) == 50
    assert shown.evaluate('document.activeElement.dataset.sort') == "level"
    shown.click("#pager button:last-child")
    assert cells(shown, "#found") == ["Devices 51 to 60 of 60"] and len(cells(shown, "#fleet tbody tr")) == 10


def test_search_and_filter(shown):
    """Goal: search finds devices and groups; filters show what needs attention; both at once."""
    shown.click("#search")
    shown.type(NAMES[9].lower())
    assert cells(shown, "#fleet td.name") == [NAMES[9]]
    shown.evaluate("(() => { const box = document.getElementById('search'); box.value = 'NORTH'; box.dispatchEvent(new Event('input')); })()")
    assert cells(shown, "#found") == ["30 devices"]
    choose = "((id, value) => {{ const box = document.getElementById(id); box.value = value; box.dispatchEvent(new Event('change')); }})({})"
    shown.evaluate(choose.format("'filter', 'long'"))
    assert cells(shown, "#fleet td.name") == [NAMES[SILENT]]
    shown.evaluate(choose.format("'group', 'south'"))
    assert cells(shown, "#found") == ["No device matches."]


def test_markup_stays_text_in_the_browser(shown):
    """Goal: a name that is markup is shown as it is, in the table and on its page."""
    shown.evaluate("(() => { const box = document.getElementById('search'); box.value = 'onerror'; box.dispatchEvent(new Event('input')); })()")
    assert cells(shown, "#fleet td.name") == [MARKUP]
    shown.click("#fleet td.name a")
    shown.wait("!document.getElementById('device').hidden")
    assert cells(shown, "h1") == [MARKUP] and shown.evaluate("document.title") == MARKUP
    assert shown.evaluate("document.querySelectorAll('img').length") == 0


def test_device_page(shown):
    """Goal: a link opens the device: charts that are not blank, gaps, numbers; back leads to the fleet."""
    shown.evaluate(f"(() => {{ location.hash = '#/device/foxtrackr/{NAMES[SILENT]}'; }})()")
    shown.wait("document.querySelectorAll('.chart canvas').length >= 4")
    assert cells(shown, "h1") == [NAMES[SILENT]] and shown.evaluate("document.activeElement.id") == "title"
    for section in ("battery-title", "temperature-title"):
        assert pixels(shown, f'section[aria-labelledby="{section}"] .chart canvas') > 10
    assert any("still" in text and "the device sent nothing" in text for text in cells(shown, "#device section tbody tr"))
    assert len(cells(shown, "#device details tbody tr")) == len(cells(shown, "#days tbody tr")) >= 12
    shown.click(".back")
    shown.wait("!document.getElementById('overview').hidden")
    assert len(cells(shown, "#fleet tbody tr")) == 50


def test_low_battery(shown):
    """Goal: a meter is in the colour of what needs attention below the level that counts as low, and not above."""
    assert shown.evaluate("[0, 14.9, 15, 19.9, 100].map((level) => meter(level).querySelector('.low') !== null)") == [
        True, True, False, False, False]


def test_many_gaps_of_a_device(shown):
    """Goal: gaps of both types at one time are one row, and each gap is looked at a few times however many there are."""
    shown.evaluate("""window.looks = 0; window.many = Array.from({ length: 4000 }, (_, i) => ({
        type: TYPES[i % 2], open: false, cause: "device", get from() { window.looks++; return i >> 1; }, to: i + 1 - i % 2 })); 0""")
    assert shown.evaluate("joined(many).length") == 2000
    assert shown.evaluate("joined(many).every((row) => row.type === 'battery, temperature')")
    assert shown.evaluate("looks") <= 2 * 4000 * 3


def test_closed_days(shown):
    """Goal: today is no closed day in its 25th hour, and is one when it is over."""
    count = shown.evaluate("data.days.length")
    assert shown.evaluate("closedDays()") == count - 1
    shown.evaluate("data.end_ms = data.days_ms.at(-1) + 25 * 3600000; data.until_ms = data.end_ms - 1; 0")
    assert shown.evaluate("closedDays()") == count - 1
    shown.evaluate("data.until_ms = data.end_ms; 0")
    assert shown.evaluate("closedDays()") == count


def test_ten_thousand_devices_are_shown(browser, tmp_path):
    """Goal: a page of ten thousand devices is drawn, sorted and searched without an error. How long that takes is for
    tests/bench/answers."""
    make_large(tmp_path / "large.db")
    report(tmp_path / "large.db", output=tmp_path / "large.html", timeout=120 * PATIENCE)
    browser.errors.clear()
    browser.resize(1440)
    browser.open((tmp_path / "large.html").as_uri())
    browser.wait("document.documentElement.dataset.drawn !== undefined")
    assert cells(browser, "#found") == ["Devices 1 to 50 of 10,000"] and len(cells(browser, "#fleet tbody tr")) == 50
    browser.click('th button[data-sort="level"]')
    assert cells(browser, "th[aria-sort]") == ["Battery"]
    browser.click("#search")
    browser.type(f"{4_711 * 7919:08X}".lower())
    assert cells(browser, "#fleet td.name") == [f"{4_711 * 7919:08X}"]
    assert browser.errors == []


def test_limits_and_excursions(shown):
    """Goal: the page of a device says its limits, draws them, and lists when they were exceeded."""
    shown.evaluate(f"(() => {{ location.hash = '#/device/foxtrackr/{NAMES[WARM]}'; }})()")
    shown.wait("document.querySelectorAll('.chart canvas').length >= 4")
    assert any("Allowed: at most 30.0\u202f°C." in text for text in cells(shown, ".readout"))
    [row] = cells(shown, 'section[aria-labelledby="excursions-title"] tbody tr')
    assert "still" in row and "above 30.0\u202f°C" in row
    assert shown.evaluate("document.querySelector('section[aria-labelledby=\"temperature-title\"] .swatch.dotted') !== null")
    limits = {"group": [None, "north", None], "device": [None, None, NAMES[9]], "min": [2, None, None], "max": [None, 8, 9]}
    shown.evaluate(f"data.limits = {json.dumps(limits)}; 0")
    assert [shown.evaluate(f"limitsOf({i})") for i in (0, 1, 9)] == [
        {"min": [2], "max": []}, {"min": [2], "max": [8]}, {"min": [2], "max": [8, 9]}]


def test_forecast(shown):
    """Goal: a battery that discharges has a forecast, one on a charger has none."""
    shown.evaluate(f"(() => {{ location.hash = '#/device/foxtrackr/{NAMES[1]}'; }})()")
    shown.wait("document.querySelector('#device .readout')?.textContent.startsWith('At ')")
    assert cells(shown, "#device .key")[0].endswith("forecast")
    shown.evaluate(f"(() => {{ location.hash = '#/device/foxtrackr/{NAMES[FULL]}'; }})()")
    shown.wait("document.querySelector('#device .readout')?.textContent.startsWith('No forecast')")


def test_keyboard(shown):
    """Goal: without a mouse: skip link, search, sorting, a cell of the heat map, a chart."""
    shown.press("Tab")
    assert shown.evaluate("document.activeElement.className") == "skip"
    shown.press("Enter")
    assert shown.evaluate("document.activeElement.id") == "main"
    shown.evaluate("document.querySelector('th button[data-sort=\"seen\"]').focus()")
    shown.press("Enter")
    assert shown.evaluate("document.querySelector('th[aria-sort]').textContent") == "Last seen"
    shown.evaluate("document.getElementById('heat-canvas').focus()")
    for key in ("ArrowRight", "ArrowDown", "ArrowRight"):
        shown.press(key)
    assert re.search(r", \d{4}-\d\d-\d\d: ", cells(shown, "#heat-say")[0])
    shown.press("Enter")
    shown.wait("document.querySelectorAll('.chart canvas').length >= 4")
    shown.evaluate("document.querySelector('.chart').focus()")
    shown.press("ArrowLeft")
    shown.press("ArrowLeft")
    assert re.match(r"\d{4}-\d\d-\d\d: |.* expected", cells(shown, "#device .readout")[0])


def test_names_for_a_screen_reader(shown):
    """Goal: one heading of the first level, sections with names, fields with labels, pictures with words."""
    look = """(() => ({
        h1: document.querySelectorAll("h1").length,
        sections: Array.from(document.querySelectorAll("section"), (section) => document.getElementById(section.getAttribute("aria-labelledby"))?.textContent ?? ""),
        fields: Array.from(document.querySelectorAll("input, select")).filter((field) => field.offsetParent).map((field) => field.labels[0]?.textContent ?? ""),
        pictures: Array.from(document.querySelectorAll("canvas, [role=application]"), (one) => one.closest("[aria-hidden=true]") !== null || one.closest("[aria-label]") !== null),
        language: document.documentElement.lang }))()"""
    for address in ("#/", f"#/device/foxtrackr/{NAMES[0]}"):
        shown.evaluate(f"(() => {{ location.hash = '{address}'; }})()")
        shown.wait(f"document.getElementById('device').hidden === {'true' if address == '#/' else 'false'}")
        found = shown.evaluate(look)
        assert found["h1"] == 1 and found["language"] == "en"
        assert all(found["sections"]) and all(found["fields"]) and all(found["pictures"]), found


def test_policy_holds(shown):
    """Goal: the browser refuses a script, a style and a request that are not the page's own."""
    shown.evaluate("""(() => { const script = document.createElement("script");
        script.textContent = "document.title = 'taken'"; document.head.append(script);
        document.body.insertAdjacentHTML("beforeend", "<p style='color: red' id='styled'>x</p><img id='fetched' src='http://127.0.0.1:9/x.png'>"); })()""")
    assert shown.evaluate("document.title") == "Fleet report"
    assert shown.evaluate("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)"
    assert shown.evaluate("fetch('http://127.0.0.1:9/').then(() => 'fetched', () => 'refused')") == "refused"
    assert shown.evaluate("(() => { try { return new Function('return 1')(); } catch { return 'refused'; } })()") == "refused"
    shown.wait("true")
    violations = [error for error in shown.errors if "Content Security Policy" in error]
    assert len(violations) >= 3 and violations == shown.errors
    shown.errors.clear()
    shown.requests.clear()


def contrast(one, other):
    """WCAG 2.1: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio"""
    def luminance(colour):
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_sizes_and_schemes(shown, tmp_path, width, scheme):
    """Goal: at each width nothing is cut off or scrolls sideways; text has contrast; nothing is blank.
    With REPORT_SCREENSHOTS=DIRECTORY in the environment the pictures are kept, to be looked at."""
    keep = pathlib.Path(os.environ.get("REPORT_SCREENSHOTS", tmp_path))
    shown.resize(width)
    shown.prefer(scheme)
    for name, address in (("fleet", "#/"), ("device", f"#/device/foxtrackr/{NAMES[RECHARGED]}")):
        shown.evaluate(f"(() => {{ location.hash = '{address}'; }})()")
        shown.wait(f"document.getElementById('device').hidden === {'true' if name == 'fleet' else 'false'}")
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        beyond = shown.evaluate("""Array.from(document.querySelectorAll("h1, h2, h3, dd, li, label, button, summary, .readout, #found, canvas"), (element) => element)
            .filter((element) => element.offsetParent && !element.closest(".scroll, thead") && element.getBoundingClientRect().right > window.innerWidth + 1)
            .map((element) => element.outerHTML.slice(0, 80))""")
        assert beyond == []
        assert shown.evaluate("Array.from(document.querySelectorAll('.scroll')).every((box) => box.scrollWidth <= box.clientWidth)") or width < 600
        colours = shown.evaluate("""["ink", "quiet", "accent"].map((name) => { const probe = document.createElement("i");
            probe.style.color = `var(--${name})`; document.body.append(probe); const found = getComputedStyle(probe).color; probe.remove(); return found; })""")
        paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        assert min(contrast(colour, paper) for colour in colours) >= 4.5
        assert (contrast(paper, "rgb(0, 0, 0)") > 10) == (scheme == "light")
        picture = keep / f"{name}-{width}-{scheme}.png"
        shown.screenshot(picture)
        assert len(set(zlib.crc32(picture.read_bytes()[i:i + 64]) for i in range(0, 4096, 64))) > 32


def test_print(shown):
    """Goal: the page prints on white whatever the scheme, without its controls."""
    shown.prefer("dark", media="print")
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.evaluate("getComputedStyle(document.getElementById('tools')).display") == "none"
    assert shown.print().startswith(b"%PDF-")

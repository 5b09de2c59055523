"""The report in a real browser, from disk: what it shows, what it asks for, who can use it."""

import shutil
from urllib.parse import unquote, urlparse

import pytest
from reported import CLOSING, HOSTILE, QUOTES

from columna.docs import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = ROOT / "tests" / "data" / "axe-core" / "axe.min.js"
PAGES = ("index.html", "scans.html", "scan.html?scan=3", "scan.html?scan=6", "methods.html")
READY = (
    "document.readyState === 'complete' && "
    "(document.body.dataset.ready || !document.querySelector('#scans, #scan'))"
)
PICTURES = {"scans.html": 4, "scan.html?scan=3": 1, "scan.html?scan=6": 1}

pytestmark = [
    pytest.mark.xdist_group("report"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that notes what goes wrong and what it asks for."""
    context = browser.new_context(bypass_csp=False, viewport={"width": 1300, "height": 900})
    opened = context.new_page()
    opened.problems, opened.requests = [], []
    opened.on("console", lambda m: opened.problems.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.on("requestfailed", lambda request: opened.problems.append(request.url))
    opened.on("request", lambda request: opened.requests.append(request.url))
    opened.on("dialog", lambda dialog: opened.problems.append(dialog.message))
    yield opened
    context.close()


def visit(page, run, name):
    file, mark, query = name.partition("?")
    page.goto((run.layout.report / file).as_uri() + mark + query)
    page.wait_for_function(READY)
    return page


def shown_scans(page):
    return page.locator("#scans a.scan").all_inner_texts()


@pytest.mark.parametrize("name", PAGES)
def test_pages_load_all_they_ask_for_from_the_results_alone(page, reported, name):
    visit(page, reported, name)
    page.wait_for_timeout(500)
    assert page.problems == []
    assert page.evaluate("window.hacked") is None
    for address in page.requests:
        if not address.startswith("data:"):
            assert address.startswith(reported.layout.root.as_uri() + "/")
    sizes = page.evaluate("[...document.images].map((i) => [i.complete, i.naturalWidth])")
    assert all(complete and width for complete, width in sizes)
    assert len(sizes) == PICTURES.get(name, 0)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(browser, reported, name):
    context = browser.new_context(bypass_csp=True)
    page = visit(context.new_page(), reported, name)
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run()")
    context.close()
    serious = [
        (violation["id"], violation["nodes"][0]["html"][:200])
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert len(found["passes"]) > 10


def test_hostile_texts_are_shown_as_texts(page, reported):
    visit(page, reported, "scans.html")
    text = page.inner_text("#scans")
    for hostile in (HOSTILE, CLOSING, QUOTES):
        assert hostile in text
    assert page.locator("#scans img[src=x]").count() == 0
    visit(page, reported, "scan.html?scan=3")
    assert HOSTILE in page.inner_text("#scan")
    visit(page, reported, "index.html")
    page.select_option("#drift-by", label="batch")
    assert page.evaluate("window.hacked") is None
    assert page.problems == []


def test_the_list_is_filtered_searched_and_sorted(page, reported):
    visit(page, reported, "scans.html")
    assert len(shown_scans(page)) == 7
    page.select_option("#status", "done")
    assert shown_scans(page) == ["sub-01_T2w", "sub-02_T2w", "sub-03_T2w"]
    page.click("th[data-name=age] button")
    page.click("th[data-name=age] button")
    assert shown_scans(page) == ["sub-03_T2w", "sub-02_T2w", "sub-01_T2w"]
    assert page.get_attribute("th[data-name=age]", "aria-sort") == "descending"
    page.fill("#search", "SUB-02")
    assert shown_scans(page) == ["sub-02_T2w"]
    assert page.inner_text("#count") == "1 of 7 scans"
    page.click("button[type=reset]")
    page.wait_for_function("document.querySelectorAll('#scans a.scan').length === 7")
    page.select_option("#own", "site")
    page.select_option("#value", CLOSING)
    assert shown_scans(page) == ["sub-04_T2w", "sub-02_T2w"]
    page.select_option("#from", "L2")
    page.select_option("#to", "L4")
    assert shown_scans(page) == ["sub-02_T2w"]
    page.select_option("#from", "T1")
    assert shown_scans(page) == []
    assert page.problems == []


def test_filters_are_kept_in_the_address(page, reported):
    visit(page, reported, "scans.html")
    page.select_option("#code", "bad_mask")
    assert shown_scans(page) == ["sub-04_T2w"]
    page.click("#scans a.scan")
    page.wait_for_function("document.body.dataset.ready")
    assert page.inner_text("h1") == "sub-04_T2w"
    assert "refused in label: The instance mask" in page.inner_text("#scan")
    page.go_back()
    page.wait_for_function(READY)
    assert shown_scans(page) == ["sub-04_T2w"]


def test_keys_lead_through_the_list(page, reported):
    visit(page, reported, "scans.html")
    page.keyboard.press("/")
    page.keyboard.type("sub-0")
    page.keyboard.press("Escape")
    for key in "jjk":
        page.keyboard.press(key)
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == shown_scans(page)[0]
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/scan.html?scan=*")


def test_numbers_and_points_of_the_cohort_page_lead_to_scans(page, reported):
    visit(page, reported, "index.html")
    page.wait_for_selector("#distribution svg .mark-symbol path")
    page.locator("#distribution svg .mark-symbol path").first.click()
    page.wait_for_url("**/scan.html?scan=*")
    page.go_back()
    told = {}
    for verdict in ("pass", "review", "fail"):
        visit(page, reported, "index.html")
        tile = page.locator(f".verdict-{verdict}")
        told[verdict] = int(tile.locator("strong").inner_text())
        tile.click()
        page.wait_for_url(f"**/scans.html#verdict={verdict}")
        page.wait_for_function(READY)
        assert page.input_value("#verdict") == verdict
        assert len(shown_scans(page)) == told[verdict]
    assert sum(told.values()) == 3


def test_the_page_of_a_scan_has_measures_masks_and_commands(page, reported):
    visit(page, reported, "scan.html?scan=3")
    page.wait_for_selector("#scan svg")
    page.select_option("#measure", label="Canal area (cord and canal)")
    page.wait_for_selector("#scan svg")
    links = page.evaluate("[...document.querySelectorAll('#scan li a')].map((a) => a.href)")
    assert len(links) == 3
    for link in links:
        path = unquote(urlparse(link).path)
        assert path.startswith(str(reported.layout.derivatives))
        assert reported.layout.root.joinpath(path).exists()
    commands = page.locator("#scan pre").all_inner_texts()
    assert [command.split()[0] for command in commands] == ["itksnap", "Slicer", "napari"]
    assert all("columna path 'sub-01_T2w'" in command for command in commands)
    assert page.locator("#s-levels tbody tr, section:has(#s-levels) tbody tr").count() == 5
    assert page.problems == []

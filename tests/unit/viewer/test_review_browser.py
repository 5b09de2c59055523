"""The review in a real browser: what it draws, what keys do, what it keeps, who can use it."""

import io
import shutil
import signal
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from reported import CLOSING, HOSTILE
from review_server import served
from small_run import SCANS

from columna.docs import ROOT
from columna.domains import DOMAINS
from columna.review.decisions import in_force

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = ROOT / "tests" / "data" / "axe-core" / "axe.min.js"
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
READY = "body[data-ready]"
SCAN = f"{SCANS[0]}_T2w"
PAGE = f"/review/scan/{SCAN}"

pytestmark = [
    pytest.mark.xdist_group("report"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def driver():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(driver):
    """Without WebGL, since drawing in software takes seconds."""
    arguments = ["--no-sandbox", "--disable-3d-apis"]
    opened = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def drawing_browser(driver):
    opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *WEBGL])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def running(reported, tmp_path_factory):
    file = tmp_path_factory.mktemp("review") / "corrections.tsv"
    with served(reported.layout.root, file) as server:
        yield server


@pytest.fixture
def server(running):
    """A server without any decision."""
    running.file.unlink(missing_ok=True)
    return running


def failures(request):
    """What went wrong with a request; leaving a page before all of it has come is nothing."""
    return [] if "ERR_ABORTED" in (request.failure or "") else [request.url]


def opened_page(browser, server, **options):
    """A page that came in by the printed address, and notes what goes wrong and what it asks."""
    options = {"viewport": {"width": 1500, "height": 950}} | options
    page = browser.new_context(**options).new_page()
    page.problems, page.requests = [], []
    page.on("console", lambda m: page.problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("requestfailed", lambda request: page.problems.extend(failures(request)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("dialog", lambda dialog: page.problems.append(dialog.message))
    page.goto(server.address)
    page.wait_for_url("**/review/")
    return page


@pytest.fixture
def page(browser, server):
    opened = opened_page(browser, server)
    yield opened
    assert opened.problems == []
    assert opened.evaluate("window.hacked") is None
    assert all(address.startswith(f"{server.root}/") for address in opened.requests)
    opened.context.close()


def visit(page, server, path=PAGE):
    page.goto(f"{server.root}{path}")
    page.wait_for_selector(READY)
    return page


@contextmanager
def saving(page, count=1):
    """Wait until the page shows that decisions are saved."""
    before = int(page.get_attribute("body", "data-saved") or 0)
    yield
    page.wait_for_selector(f"body[data-saved='{before + count}']")


def press(page, *keys):
    """Press keys, each of which makes one decision."""
    for key in keys:
        with saving(page):
            page.keyboard.press(key)


def standing(server):
    return [(d.decision, d.domain, d.vertebra, d.value) for d in in_force(server.decisions())]


def shown_levels(page):
    return page.locator("#levels td.now").all_inner_texts()


def shot(page):
    """What the canvas shows, as an array."""
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(300)
    return np.asarray(Image.open(io.BytesIO(page.locator("#canvas").screenshot())).convert("RGB"))


def test_the_scan_is_drawn_with_its_masks_scrolled_and_windowed(drawing_browser, server):
    small = {"width": 1160, "height": 640}
    page = visit(opened_page(drawing_browser, server, viewport=small), server)
    with_mask = shot(page)
    spread = with_mask.astype(int).max(axis=2) - with_mask.min(axis=2)
    assert (with_mask.max(axis=2) > 60).mean() > 0.2, "an image"
    assert (spread > 40).mean() > 0.02, "colours of the mask"
    assert "vertebra 3: L3" in page.inner_text("#place")
    page.keyboard.press("o")
    plain = shot(page)
    grey = plain.astype(int).max(axis=2) - plain.min(axis=2)
    assert (grey > 12).mean() < 0.02, "no colours but those of the cross"
    touched = (np.abs(with_mask.astype(int) - plain) > 8).any(axis=2).mean()
    assert 0.05 < touched < 0.5, "what is no mask stays grey"
    page.keyboard.press("m")
    structures = shot(page)
    assert (structures != with_mask).mean() > 0.01
    page.keyboard.press("o")
    page.locator("#high").fill(page.get_attribute("#low", "min"))
    assert (shot(page) != plain).mean() > 0.1
    page.click("#levels button[aria-label='Show vertebra 1']")
    assert "vertebra 1: L1" in page.inner_text("#place")
    page.focus("#canvas")
    before = page.inner_text("#place"), shot(page)
    for _ in range(30):
        page.keyboard.press("ArrowDown")
    assert "vertebra 1" not in page.inner_text("#place")
    assert (shot(page) != before[1]).mean() > 0.01
    # the wheel over the sagittal plane changes the slice
    before = shot(page)
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 120)
    assert (shot(page) != before).mean() > 0.01
    page.click("#levels button[aria-label='Show vertebra 1']")
    press(page, "+")
    assert "vertebra 1: L2" in page.inner_text("#place")
    assert page.problems == []
    assert {a.partition(server.root)[0] for a in page.requests} <= {"", "data:"}
    for address in page.requests:
        assert address.startswith((f"{server.root}/", "data:"))
    page.context.close()


def test_keys_rate_and_undo(page, server):
    visit(page, server)
    press(page, "g", "u", "b")
    assert standing(server) == [
        ("rate", "names", "", "good"),
        ("rate", "bodies", "", "usable"),
        ("rate", "discs", "", "bad"),
    ]
    assert page.locator("#ratings [aria-pressed=true]").all_inner_texts() == [
        "good",
        "usable",
        "bad",
    ]
    press(page, "z")
    assert len(standing(server)) == 2
    page.keyboard.press("5")
    press(page, "b")
    assert standing(server)[-1] == ("rate", "posterior", "", "bad")
    # the rest is good
    with saving(page, 3):
        page.keyboard.press("a")
    assert "1 of 3 rated" in page.inner_text(".head")
    values = {domain: value for _, domain, _, value in standing(server)}
    assert set(values) == set(DOMAINS)
    assert values == dict.fromkeys(DOMAINS, "good") | {"bodies": "usable", "posterior": "bad"}
    assert {d.rater for d in server.decisions()} == {"ada"}
    page.keyboard.press("n")
    page.wait_for_url(f"**/{SCANS[1]}_T2w")
    page.wait_for_selector(READY)
    page.keyboard.press("p")
    page.wait_for_url(f"**/{SCAN}")
    page.wait_for_selector(READY)
    assert page.locator("#ratings [aria-pressed=true]").count() == len(DOMAINS)
    page.click("nav >> text=Work list")
    assert page.inner_text("#start") == f"Go on with {SCANS[1]}_T2w"


def test_reasons_and_comments_belong_to_ratings(page, server):
    visit(page, server)
    press(page, "b")
    page.keyboard.press("1")
    page.keyboard.press("c")
    page.keyboard.type(CLOSING + " gz")  # keys in a field are text
    with saving(page):
        page.keyboard.press("Enter")
    with saving(page):
        page.locator("#ratings .reason").first.select_option("wrong_level")
    [rating] = in_force(server.decisions())
    assert (rating.value, rating.reason, rating.comment) == ("bad", "wrong_level", CLOSING + " gz")
    visit(page, server)
    assert CLOSING in page.inner_text("#history")
    assert page.locator("#ratings .comment").first.input_value() == CLOSING + " gz"
    # a comment that is being written when the tab is closed
    page.keyboard.press("1")
    page.keyboard.press("c")
    page.keyboard.type("!")
    page.goto(f"{server.root}/review/")
    deadline = time.monotonic() + 20
    while in_force(server.decisions())[0].comment != CLOSING + " gz!":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_levels_are_put_right_and_survive_a_kill(browser, reported, tmp_path):
    file = tmp_path / "corrections.tsv"
    with served(reported.layout.root, file) as server:
        page = visit(opened_page(browser, server), server)
        assert shown_levels(page) == ["L1", "L2", "L3", "L4", "L5"]
        press(page, "-", "-", "+")
        assert shown_levels(page) == ["T12", "L1", "L2", "L3", "L4"]
        assert "moved by -1" in page.inner_text("#shift")
        with saving(page):
            page.select_option("select[aria-label='Vertebra 1 by hand']", "T13")
        with saving(page):
            page.select_option("select[aria-label='Vertebra 5 by hand']", "false")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        page.keyboard.press("+")
        page.wait_for_selector("text=Not saved: the server does not answer")
        page.context.close()
    assert standing(server) == [
        ("shift", "", "", "-1"),
        ("name", "", "1", "T13"),
        ("false", "", "5", ""),
    ]
    with served(reported.layout.root, file) as server:
        page = visit(opened_page(browser, server), server)
        assert shown_levels(page) == ["T13", "L1", "L2", "L3", "no vertebra"]
        with saving(page):
            page.select_option("select[aria-label='Vertebra 1 by hand']", "L3")
        assert "vertebra 2" in page.inner_text("#problem")
        for vertebra in (1, 5):
            with saving(page):
                page.select_option(f"select[aria-label='Vertebra {vertebra} by hand']", "as found")
        with saving(page):
            page.click("#as-found")
        assert shown_levels(page) == ["L1", "L2", "L3", "L4", "L5"]
        assert page.inner_text("#problem") == ""
        assert standing(server) == []
        assert page.problems == []
        page.context.close()


def test_a_scan_is_excluded_and_included(page, server):
    visit(page, server)
    page.fill("#exclude-comment", HOSTILE)
    page.keyboard.press("Escape")
    press(page, "x")
    assert standing(server) == [("exclude", "", "", "")]
    assert HOSTILE in page.inner_text("#history")
    assert page.locator("#history img").count() == 0
    press(page, "x")
    assert standing(server) == [("include", "", "", "")]


def test_hostile_texts_are_shown_as_texts(page, server, reported):
    assert HOSTILE.replace("/", "") in page.inner_text("#work")
    visit(page, server)
    assert HOSTILE.replace("/", "") in page.inner_text(".head")
    page.goto(f"{server.root}/report/scans.html")
    page.wait_for_selector(READY)
    assert HOSTILE in page.inner_text("#scans")
    page.goto(f"{server.root}/report/scan.html?scan=3")
    page.wait_for_selector(READY)
    page.click("text=Rate it, put its levels right")
    page.wait_for_url(f"**{PAGE}")
    page.wait_for_selector(READY)
    page.click("text=Measures in the report")
    page.wait_for_url("**/report/scan.html?scan=3")
    page.wait_for_selector(READY)
    assert page.inner_text("h1") == SCAN


def test_an_image_that_is_gone_is_told_and_the_picture_shown(page, server, reported):
    path = reported.folder / "data" / f"{SCANS[0]}_T2w.nii.gz"
    hidden = path.with_name("hidden")
    path.rename(hidden)
    try:
        visit(page, server)
        assert "not where it was. This is its picture." in page.inner_text("#no-image")
        assert page.is_visible("#picture")
        assert page.evaluate("document.querySelector('#picture').decode().then(() => true)")
        press(page, "g")
    finally:
        hidden.rename(path)
    assert standing(server) == [("rate", "names", "", "good")]


def test_axe_finds_nothing_serious(browser, server):
    page = opened_page(browser, server, bypass_csp=True)
    for path in ("/review/", PAGE):
        if path == PAGE:
            visit(page, server)
            press(page, "g", "b", "+", "z", "x")
            page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
        page.add_script_tag(path=str(AXE))
        found = page.evaluate("axe.run()")
        serious = [
            (violation["id"], violation["nodes"][0]["html"][:200])
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == []
        assert len(found["passes"]) > 10
    page.context.close()

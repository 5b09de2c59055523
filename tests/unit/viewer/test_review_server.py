"""The server of the review: who is let in, what is handed out, what is kept."""

import gzip
import json
import signal

import nibabel as nib
import numpy as np
import pytest
from review_server import refusal, served
from small_run import SCANS

from columna.cohort.index import build_index
from columna.config import PrepareSettings
from columna.errors import ColumnaError, DecisionError
from columna.results.layout import Layout
from columna.viewer.make_review import make_review
from columna.viewer.server import serve

pytestmark = pytest.mark.xdist_group("report")

SCAN = f"{SCANS[0]}_T2w"
PAGE = f"/review/scan/{SCAN}"
EVIL = (
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "10.0.0.1",
    "0.0.0.0",
    "",
)


@pytest.fixture(scope="module")
def server(reported, tmp_path_factory):
    with served(
        reported.layout.root, tmp_path_factory.mktemp("review") / "corrections.tsv"
    ) as running:
        yield running


def volume(answer):
    status, _, content = answer
    assert status == 200, content
    return nib.Nifti1Image.from_bytes(gzip.decompress(content))


# --- who is let in ---


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/review/",
        PAGE,
        f"{PAGE}/image.nii.gz",
        "/report/index.html",
        "/tables/scans.parquet",
        "/nowhere",
    ],
)
@pytest.mark.parametrize("cookie", ["", "columna-00000000=x", "token=x"])
def test_without_the_token_nothing_is_answered(server, path, cookie):
    status, _, content = server.get(path, Cookie=cookie)
    assert status == 403
    assert b"sub-0" not in content
    assert server.get(f"{path}?token=guess", Cookie=cookie)[0] == 403


def test_a_decision_without_the_token_is_not_kept(server):
    before = server.decisions()
    assert server.post(SCAN, {"decision": "exclude"}, Cookie="")[0] == 403
    assert server.decisions() == before


def test_the_cookie_is_for_this_site_alone_and_hidden_from_scripts(server):
    cookie = server.enter()["Set-Cookie"].lower()
    assert "samesite=strict" in cookie
    assert "httponly" in cookie


@pytest.mark.parametrize("host", EVIL)
def test_a_foreign_host_gets_an_error(server, host):
    for shown in (host, f"{host}:{server.port}"):
        status, _, content = server.get("/review/", host=shown or " ")
        assert status in (400, 403)
        assert b"sub-0" not in content


@pytest.mark.parametrize(
    "origin",
    [
        *(f"http://{h}" for h in EVIL if h),
        "null",
        "https://127.0.0.1",
        "http://localhost:1",
        "file://",
    ],
)
def test_a_foreign_origin_gets_an_error(server, origin):
    before = server.decisions()
    assert server.get("/review/", Origin=origin)[0] == 403
    assert server.post(SCAN, {"decision": "exclude"}, Origin=origin)[0] == 403
    assert server.decisions() == before


@pytest.mark.parametrize(
    "host", ["localhost:1234", "127.0.0.1:9", "[::1]:8080", "localhost", "LOCALHOST:5"]
)
def test_an_ssh_tunnel_may_have_any_port(server, host):
    assert server.get("/review/", host=host)[0] == 200
    assert server.get("/review/", host=host, Origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/report/../index/scans.parquet",
        "/report/%2e%2e/index/scans.parquet",
        "/report/..%2f..%2fcohort.tsv",
        "/report/..%5cindex",
        "/review/static/../pages.py",
        "/review/static/%2e%2e/pages.py",
        "/derivatives/../../data/sub-01_T2w.nii.gz",
        "/../../etc/passwd",
        "/review/scan/%2e%2e/image.nii.gz",
        "/review/scan/..%2f..%2fdata%2fsub-01_T2w/image.nii.gz",
        "/report/%00",
    ],
)
def test_no_path_leads_outside(server, path):
    status, _, content = server.get(path)
    assert status in (400, 404)
    assert len(content) < 100


@pytest.mark.parametrize(
    "folder", ["store", "index", "stages", "shards", "receipts", "work", "data"]
)
def test_of_the_results_only_what_pages_link_to_is_served(server, reported, folder):
    for path in (f"/{folder}/", f"/{folder}/scans.parquet", f"/{folder}/{SCAN}.zip"):
        assert server.get(path)[0] == 404


def test_a_link_in_the_results_leads_nowhere(server, reported):
    link = reported.layout.report / "link.tsv"
    link.symlink_to(reported.folder / "cohort.tsv")
    try:
        assert server.get("/report/link.tsv")[0] == 404
    finally:
        link.unlink()


def test_browsers_are_told_to_load_and_embed_nothing_else(server):
    for path in ("/review/", PAGE, "/report/index.html", f"{PAGE}/image.nii.gz", "/nowhere"):
        headers = server.get(path)[1]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy
        assert "*" not in policy
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert "unsafe" not in server.get(PAGE)[1]["Content-Security-Policy"]


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "192.0.2.1", "::", "example.org", "127.0.0.1.evil.example", ""]
)
def test_other_hosts_than_this_machine_are_refused(host):
    with pytest.raises(ColumnaError, match="ssh tunnel"):
        serve(None, PrepareSettings(), host, 0, print)


def test_the_command_refuses_them_too(reported):
    assert "ssh tunnel" in refusal(str(reported.layout.root), "--rater", "ada", "--host", "0.0.0.0")


# --- what is handed out ---


def test_pages_of_the_report_lead_to_the_review(server):
    assert server.get("/report/index.html")[0] == 200
    status, _, content = server.get("/report/data/meta.js")
    assert status == 200
    assert b"/review/" in content
    assert server.get(f"/pictures/{SCAN}.webp")[0] == 200


def test_the_image_comes_without_its_header(server, reported):
    """Free text, dates, names, intents and extensions stay behind; voxels and place do not."""
    path = reported.folder / "data" / f"{SCANS[0]}_T2w.nii.gz"
    original, content = nib.load(path), path.read_bytes()
    voxels = np.asanyarray(original.dataobj)
    image = nib.Nifti1Image(voxels, original.affine, original.header)
    for field in ("descrip", "db_name", "intent_name", "aux_file"):
        image.header[field] = b"Jane Doe 1970-01-01"[: image.header[field].dtype.itemsize]
    image.header["intent_code"] = 1002
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    nib.save(image, path)
    assert b"Jane" in gzip.decompress(path.read_bytes())
    try:
        answer = server.get(f"{PAGE}/image.nii.gz")
        page = server.get(PAGE)[2]
        shown = volume(answer)
        assert b"Jane" not in gzip.decompress(answer[2])
        assert b"Jane" not in page
        assert not shown.header.extensions
        fresh = nib.Nifti1Image(np.asanyarray(shown.dataobj), shown.affine).header
        for field in ("descrip", "db_name", "intent_name", "aux_file", "intent_code"):
            assert shown.header[field] == fresh[field]
        assert np.array_equal(shown.get_fdata(), voxels)
        assert np.allclose(shown.affine, original.affine)
    finally:
        path.write_bytes(content)


def test_masks_are_the_delivered_ones(server, reported):
    from columna.results.derivatives import Derivatives

    files = Derivatives(reported.layout.derivatives, SCAN)
    for name, path in (("spine", files.semantic), ("vert", files.instance)):
        shown = volume(server.get(f"{PAGE}/mask/{name}.nii.gz"))
        assert np.array_equal(shown.get_fdata(), nib.load(path).get_fdata())
    assert server.get(f"{PAGE}/mask/other.nii.gz")[0] == 404


def test_no_page_names_a_folder_of_this_machine(server, reported):
    for path in ("/review/", PAGE, "/report/data/meta.js"):
        content = server.get(path)[2]
        assert str(reported.folder).encode() not in content
        assert b"data/sub-01" not in content


def test_an_image_that_is_gone_or_another_one_is_told(server, reported):
    path = reported.folder / "data" / f"{SCANS[1]}_T2w.nii.gz"
    page = f"/review/scan/{SCANS[1]}_T2w"
    content = path.read_bytes()
    try:
        original = nib.load(path)
        other = np.asanyarray(original.dataobj).copy()
        other[0, 0, 0] += 1
        nib.save(nib.Nifti1Image(other, original.affine, original.header), path)
        status, _, told = server.get(f"{page}/image.nii.gz")
        assert status == 409
        assert b"not the one that was measured" in told
        path.write_bytes(content[:1000])
        assert server.get(f"{page}/image.nii.gz")[0] == 410
        path.unlink()
        status, _, told = server.get(f"{page}/image.nii.gz")
        assert status == 410
        assert str(reported.folder).encode() not in told
        assert b'"hasImage": false' in server.get(page)[2]
    finally:
        path.write_bytes(content)


def test_unknown_scans_have_no_page(server):
    for name in ("nobody", "sub-09", "%3Cimg%20src=x%3E", "quo%22te'd"):
        for path in ("", "/image.nii.gz", "/picture.webp", "/mask/vert.nii.gz"):
            assert server.get(f"/review/scan/{name}{path}")[0] == 404
        assert server.post(name, {"decision": "exclude"})[0] == 404


# --- what is kept ---


def test_decisions_are_on_the_disk_when_the_answer_comes_and_survive_a_kill(reported, tmp_path):
    file = tmp_path / "kept" / "corrections.tsv"
    file.parent.mkdir()
    with served(reported.layout.root, file) as server:
        assert server.post(SCAN, {"decision": "shift", "value": "+1"})[0] == 200
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    [kept] = server.decisions()
    assert (kept.scan_id, kept.decision, kept.value, kept.rater) == (SCAN, "shift", "+1", "ada")
    with served(reported.layout.root, file) as server:
        _, _, content = server.post(SCAN, {"decision": "rate", "domain": "names", "value": "bad"})
    state = json.loads(content)
    assert state["shift"] == 1
    assert [v["now"] for v in state["vertebrae"]] == ["L2", "L3", "L4", "L5", "S1"]
    assert state["isPending"]


def desk(reported, file, rater="ada", is_blinded=False):
    """A review without its server, and what it makes of the first scan."""
    review = make_review(reported.layout, file, rater, is_blinded, None)

    def decide(**asked):
        review.desk.decide(SCAN, asked)
        return review.state(review.scans[SCAN])

    return decide


def test_of_two_decisions_in_one_second_the_second_counts(reported, tmp_path):
    decide = desk(reported, tmp_path / "c.tsv")
    for value in ("bad", "usable", "good", "bad", "usable", "good") * 2:
        state = decide(decision="rate", domain="names", value=value)
        assert [rating["value"] for rating in state["ratings"]] == [value]


def test_what_is_no_decision_is_told_and_not_kept(server):
    before = server.decisions()
    for wrong in (
        {},
        {"decision": "rate"},
        {"decision": "rate", "domain": "names", "value": "great"},
        {"decision": "name", "vertebra": "1", "value": "L9"},
        {"decision": "undo", "value": "0" * 32},
        {"decision": "delete"},
        {"decision": "exclude", "comment": "x" * 2000},
        {"decision": ["rate"], "domain": {"a": 1}},
    ):
        status, _, told = server.post(SCAN, wrong)
        assert status == 400, wrong
        assert told.startswith(b"Not saved")
    assert server.get(f"{PAGE}/decisions", "POST", [1])[0] == 400
    assert server.post(SCAN, {"decision": "exclude", "comment": "x" * 50_000})[0] == 413
    assert server.get(f"{PAGE}/decisions", "POST")[0] == 415
    assert server.decisions() == before


def test_names_that_cannot_hold_together_are_told(reported, tmp_path):
    decide = desk(reported, tmp_path / "c.tsv")
    state = decide(decision="name", vertebra="1", value="L2")
    assert "vertebra 2" in state["problem"]
    state = decide(decision="false", vertebra="2")
    assert state["problem"] is None
    assert [v["now"] for v in state["vertebrae"]] == ["L2", None, "L3", "L4", "L5"]
    for vertebra in "12":
        state = decide(decision="clear", vertebra=vertebra)
    assert [v["now"] for v in state["vertebrae"]] == ["L1", "L2", "L3", "L4", "L5"]
    assert not state["isPending"]


def test_raters_see_each_other_unless_they_are_blinded(reported, tmp_path):
    file = tmp_path / "c.tsv"
    ada = desk(reported, file)
    ada(decision="rate", domain="names", value="bad", comment="secret")
    ada(decision="shift", value="+1")
    rating = {"decision": "rate", "domain": "names", "value": "good"}
    state = desk(reported, file, "bob")(**rating)
    assert [r["rater"] for r in state["ratings"]] == ["ada", "bob"]
    assert state["shift"] == 1
    state = desk(reported, file, "cyd", is_blinded=True)(**rating)
    assert [r["rater"] for r in state["ratings"]] == ["cyd"]
    assert "secret" not in str(state)
    assert state["shift"] == 0
    assert state["progress"] == {"rated": 0, "scans": 3}


def test_nobody_takes_back_what_another_one_has_rated(reported, tmp_path):
    file = tmp_path / "c.tsv"
    state = desk(reported, file)(decision="rate", domain="names", value="bad")
    decide = desk(reported, file, "bob")
    for value in ("", state["history"][0]["decision_id"]):
        with pytest.raises(DecisionError, match="of yours"):
            decide(decision="undo", value=value)


def test_a_file_that_cannot_be_written_is_told(server):
    server.file.unlink(missing_ok=True)
    server.file.mkdir()
    status, _, told = server.post(SCAN, {"decision": "exclude"})
    server.file.rmdir()
    assert status == 500
    assert told.startswith(b"Not saved")


def test_what_cannot_be_used_is_told_before_it_starts(reported, tmp_path):
    damaged = tmp_path / "damaged.tsv"
    damaged.write_text("scan_id\tdecision\trater\tdecided_at\nsub-01\tguess\tada\t2026-01-01\n")
    for file, rater, told in (
        (tmp_path / "c.tsv", "Jane Doe", "--rater"),
        (tmp_path / "c.tsv", "x" * 40, "--rater"),
        (damaged, "ada", "line 2"),
    ):
        with pytest.raises(ColumnaError, match=told):
            make_review(reported.layout, file, rater, False, None)
    with pytest.raises(ColumnaError, match="has `snakemake` finished"):
        make_review(Layout(tmp_path), tmp_path / "c.tsv", "ada", False, None)


def test_a_scan_that_left_the_cohort_is_not_shown(reported, tmp_path):
    """Paths come from the index alone."""
    sheet = (reported.folder / "cohort.tsv").read_text()
    index = {p: p.read_bytes() for p in reported.layout.index.rglob("*") if p.is_file()}
    fewer = tmp_path / "fewer.tsv"
    lines = [line for line in sheet.splitlines() if "sub-03" not in line]
    fewer.write_text("\n".join(lines).replace("data/", f"{reported.folder}/data/") + "\n")
    build_index(fewer, reported.layout.index, batch_size=2)
    try:
        review = make_review(reported.layout, tmp_path / "c.tsv", "ada", False, None)
        assert "sub-03_T2w" not in review.scans
        assert review.work == ["sub-01_T2w", "sub-02_T2w"]
    finally:
        for path, content in index.items():
            path.write_bytes(content)

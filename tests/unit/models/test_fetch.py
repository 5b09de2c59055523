import hashlib
import http.server
import json
import threading
import zipfile
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import attempt, write_instance

from columna.errors import ModelError
from columna.models import fetch, registry
from columna.models.fetch import fetch_model, unpack
from columna.models.folder import RECEIPT_NAME, ModelFolder
from columna.models.registry import find_model, known_model, list_models, verify_model


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A models directory of the user."""
    directory = tmp_path / "models"
    monkeypatch.setenv(registry.MODELS_VARIABLE, str(directory))
    monkeypatch.setattr(registry, "cache_directory", lambda: tmp_path / "cache")
    return directory


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A web server of the folder ``served``; yields folder and address."""
    served = tmp_path / "served"
    served.mkdir()
    handler = partial(_Quiet, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield served, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def offer(monkeypatch, url, sha256=""):
    """Put `url` into the table under the id ``instance``."""
    model = replace(known_model("instance"), url=url, sha256=sha256)
    monkeypatch.setattr(fetch, "known_model", lambda _: model)
    return model


def zip_folder(folder, archive, inside="export"):
    with zipfile.ZipFile(archive, "w") as content:
        for file in folder.iterdir():
            content.write(file, f"{inside}/{file.name}" if inside else file.name)
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def test_table_is_sound():
    models = list_models()
    names = [name for model in models for name in (model.id, model.alias) if name]
    assert len(names) == len(set(names))
    assert len({model.folder for model in models}) == len(models)
    for model in models:
        assert model.role in ("semantic", "instance", "labelling")
        assert model.licence
        assert model.description
        for digest in (model.sha256, model.digest):
            assert not digest or len(bytes.fromhex(digest)) == 32


def test_bundled_models_are_what_the_table_says():
    for model in list_models():
        if not model.url and model.path is not None:
            folder = ModelFolder.read(model.path)
            assert folder.role == model.role
            assert folder.digest == model.digest


@pytest.mark.parametrize("inside", ["export", ""])
def test_fetch(tmp_path, here, server, monkeypatch, inside):
    served, address = server
    original = write_instance(tmp_path / "original")
    sha256 = zip_folder(original, served / "instance.zip", inside)
    model = offer(monkeypatch, f"{address}/instance.zip", sha256)
    told = []
    path = fetch_model("instance", progress=lambda come, total: told.append((come, total)))
    assert path == here / model.folder == find_model("instance")
    assert ModelFolder.read(path).digest == ModelFolder.read(original).digest
    size = (served / "instance.zip").stat().st_size
    assert told[-1] == (size, size)
    assert [file.name for file in here.iterdir()] == [model.folder]
    assert "unchanged" in verify_model("instance")
    (served / "instance.zip").unlink()
    assert fetch_model("instance") == path, "what is here is not fetched again"


def test_verify_notices_a_change(tmp_path, here, server, monkeypatch):
    served, address = server
    zip_folder(write_instance(tmp_path / "original"), served / "instance.zip")
    offer(monkeypatch, f"{address}/instance.zip")
    path = fetch_model("instance")
    config = path / "inference_config.json"
    config.write_text(config.read_text().replace("tiny", "tine"))
    with pytest.raises(ModelError, match="has changed"):
        verify_model("instance")


def test_verify_does_not_pretend(tmp_path):
    sentence = verify_model(write_instance(tmp_path / "own"))
    assert "no digest is recorded" in sentence


def test_unknown_digest_is_shown(tmp_path, here, server, monkeypatch, caplog):
    served, address = server
    sha256 = zip_folder(write_instance(tmp_path / "original"), served / "instance.zip")
    offer(monkeypatch, f"{address}/instance.zip")
    fetch_model("instance")
    assert sha256 in caplog.text


def assert_nothing_left(here):
    assert list(here.iterdir()) == []


def test_wrong_digest_is_refused(tmp_path, here, server, monkeypatch):
    served, address = server
    zip_folder(write_instance(tmp_path / "original"), served / "instance.zip")
    offer(monkeypatch, f"{address}/instance.zip", "0" * 64)
    with pytest.raises(ModelError, match="0000"):
        fetch_model("instance")
    assert_nothing_left(here)


def test_archive_without_model_is_refused(tmp_path, here, server, monkeypatch):
    served, address = server
    folder = write_instance(tmp_path / "original")
    (folder / "inference_config.json").unlink()
    zip_folder(folder, served / "instance.zip")
    offer(monkeypatch, f"{address}/instance.zip")
    with pytest.raises(ModelError, match="found 0"):
        fetch_model("instance")
    assert_nothing_left(here)


def test_unreachable_server_says_url_and_what_to_do(here, server, monkeypatch):
    _, address = server
    model = offer(monkeypatch, f"{address}/missing.zip")
    with pytest.raises(ModelError, match=r"missing\.zip.*404") as error:
        fetch_model("instance")
    assert str(here / model.folder) in str(error.value)
    assert_nothing_left(here)
    offer(monkeypatch, "http://127.0.0.1:9/closed.zip")
    with pytest.raises(ModelError, match=r"closed\.zip"):
        fetch_model("instance")


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside.txt", "a/../../outside.txt"])
def test_members_outside_are_refused(tmp_path, name):
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("good.txt", "good")
        content.writestr(name, "evil")
    with pytest.raises(ModelError, match="unsafe"):
        unpack(archive, tmp_path / "target")
    assert {path.name for path in tmp_path.iterdir()} == {"evil.zip"}


def test_links_and_damage_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as content:
        content.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="unsafe"):
        unpack(tmp_path / "link.zip", tmp_path / "target")
    (tmp_path / "damaged.zip").write_bytes((tmp_path / "link.zip").read_bytes()[:-30])
    with pytest.raises(ModelError, match="zip"):
        unpack(tmp_path / "damaged.zip", tmp_path / "target")


@pytest.mark.parametrize("kind", [0o120777, 0o010666, 0o020666, 0o060666, 0o140666])
def test_only_files_and_folders_are_unpacked(tmp_path, kind):
    odd = zipfile.ZipInfo("odd")
    odd.external_attr = kind << 16
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as content:
        content.writestr("good.txt", "good")
        content.writestr(odd, "/etc/passwd")
    with pytest.raises(ModelError, match=r"unsafe.*'odd'"):
        unpack(tmp_path / "odd.zip", tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("name", ["C:\\x", "C:/x", "\\\\host\\x", "..\\x", "a\\..\\..\\x", "/x"])
def test_paths_of_other_systems_are_refused_too(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as content:
        content.writestr(name, "evil")
    with pytest.raises(ModelError, match="unsafe"):
        unpack(tmp_path / "odd.zip", tmp_path / "target")


@pytest.mark.parametrize(
    "files",
    [{"zeros": 50 << 20}, {f"{n}": 1 << 20 for n in range(40)}, dict.fromkeys("ab", 9 << 20)],
)
def test_archives_that_grow_too_much_are_not_unpacked(tmp_path, files):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        for name, size in files.items():
            content.writestr(name, bytes(size))
    with pytest.raises(ModelError, match=r"bomb\.zip: would unpack to .* bytes"):
        unpack(archive, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_archives_with_too_many_files(tmp_path):
    archive = tmp_path / "many.zip"
    with zipfile.ZipFile(archive, "w") as content:
        for number in range(10_001):
            content.writestr(f"{number}", "")
    with pytest.raises(ModelError, match="10001 files"):
        unpack(archive, tmp_path / "target")


@pytest.mark.parametrize("names", [["a", "a/b"], ["a" * 300], ["inference_config.json/x"]])
def test_names_that_a_disk_cannot_hold(tmp_path, names):
    archive = tmp_path / "names.zip"
    with zipfile.ZipFile(archive, "w") as content:
        for name in names:
            content.writestr(name, "x")
    _, sentence = attempt(unpack, archive, tmp_path / "target")
    assert sentence is None or "names.zip: cannot be unpacked" in sentence


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_damaged_archives_are_refused_in_a_sentence(tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("z")
    archive = folder / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr("model/plans.json", '{"a": 1}' * 40)
        content.writestr("model/weights", bytes(range(256)))
    damaged = bytearray(archive.read_bytes())
    damaged[int(place * len(damaged))] ^= 1 << bit
    archive.write_bytes(damaged)
    _, sentence = attempt(unpack, archive, folder / "target")
    assert sentence is None or "\n" not in sentence
    inside = {path for path in folder.rglob("*") if path.is_file()} - {archive}
    assert all(path.is_relative_to(folder / "target") for path in inside)


class _Strange(http.server.BaseHTTPRequestHandler):
    """Answers that no good server gives, one per path."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        kind = self.path.strip("/")
        if kind == "nonsense":
            self.wfile.write(b"\x00\xff\x00 nothing of the kind\r\n\r\n")
        elif kind == "silent":
            self.close_connection = True
        elif kind == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif kind == "circle":
            self.send_response(302)
            self.send_header("Location", "/circle")
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Length", {"odd": "many", "short": "100"}[kind])
            self.end_headers()
            self.wfile.write(b"PK")


@pytest.mark.parametrize("kind", ["nonsense", "silent", "elsewhere", "circle", "odd", "short"])
def test_failed_downloads_are_one_sentence(here, monkeypatch, kind):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Strange) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        offer(monkeypatch, f"http://127.0.0.1:{httpd.server_port}/{kind}")
        with pytest.raises(ModelError) as caught:
            fetch_model("instance")
        httpd.shutdown()
    assert "\n" not in str(caught.value)
    assert_nothing_left(here)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x/a.zip", "http://", "http://[::1", "http://a b/", "x"]
)
def test_odd_addresses_are_one_sentence(here, monkeypatch, url):
    offer(monkeypatch, url)
    with pytest.raises(ModelError) as caught:
        fetch_model("instance")
    assert "\n" not in str(caught.value)


def test_an_endless_download_ends(tmp_path, here, server, monkeypatch):
    served, address = server
    zip_folder(write_instance(tmp_path / "original"), served / "instance.zip")
    offer(monkeypatch, f"{address}/instance.zip")
    monkeypatch.setattr(fetch, "_MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="GiB came"):
        fetch_model("instance")
    assert_nothing_left(here)


def test_a_folder_that_cannot_be_written_to(tmp_path, server, monkeypatch):
    _, address = server
    offer(monkeypatch, f"{address}/instance.zip")
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ModelError, match="cannot be written to"):
            fetch_model("instance", directory)


def test_a_fetched_labelling_model_is_not_changed_by_its_receipt(tmp_path):
    folder = write_instance(tmp_path, modeltype="classifier", modality="T2w")
    digest = ModelFolder.read(folder).digest
    (folder / RECEIPT_NAME).write_text(json.dumps({"digest": digest}))
    assert "unchanged" in verify_model(folder)


def test_names_of_models_are_no_paths(here):
    here.mkdir()
    for name in (".", "..", "../models", "\0"):
        with pytest.raises(ModelError):
            ModelFolder.read(find_model(name))


def test_find_model(tmp_path, here):
    with pytest.raises(ModelError, match="columna models fetch t2w"):
        find_model("t2w_semantic")
    with pytest.raises(ModelError, match=r"unknown model 'spine'.*t2w"):
        find_model("spine")
    with pytest.raises(ModelError, match="no such model folder"):
        find_model(tmp_path / "nowhere")
    folder = here / "T2w_semantic_v1.0.9"
    folder.mkdir(parents=True)
    assert find_model("t2w") == find_model("T2W_semantic") == find_model(folder.name) == folder
    assert find_model(str(folder)) == folder

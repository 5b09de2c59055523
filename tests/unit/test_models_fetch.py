import hashlib
import http.server
import threading
import zipfile
from dataclasses import replace
from functools import partial

import pytest
from tiny_models import write_instance

from columna.errors import ModelError
from columna.models import fetch, registry
from columna.models.fetch import fetch_model, unpack
from columna.models.folder import ModelFolder
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

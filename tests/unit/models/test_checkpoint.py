import argparse
import os
import pathlib
import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch

from columna.errors import ModelError
from columna.models.checkpoint import load_checkpoint


class Malice:
    """Runs a command when it is unpickled."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_refused_by_name_and_never_runs(tmp_path, zipped):
    path, witness = tmp_path / "evil.ckpt", tmp_path / "ran"
    torch.save({"x": Malice(witness)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"evil\.ckpt.*system"):
        load_checkpoint(path)
    assert not witness.exists()


def test_bare_pickle_is_refused(tmp_path):
    path, witness = tmp_path / "evil.ckpt", tmp_path / "ran"
    path.write_bytes(pickle.dumps({"x": Malice(witness)}))
    with pytest.raises(ModelError, match=r"evil\.ckpt"):
        load_checkpoint(path)
    assert not witness.exists()


class Foreign:
    """A class of somebody's training code."""


def test_foreign_classes_are_refused_by_name(tmp_path):
    torch.save({"opt": Foreign()}, tmp_path / "foreign.ckpt")
    with pytest.raises(ModelError, match="Foreign"):
        load_checkpoint(tmp_path / "foreign.ckpt")


@pytest.mark.parametrize("zipped", [True, False])
def test_harmless_content_of_real_checkpoints(tmp_path, zipped):
    options = argparse.Namespace(
        lr=np.float64(0.1),
        epochs=np.int64(3),
        half=np.float32(0.5),
        flag=np.bool_(True),
        folder=pathlib.Path("/runs/1"),
        device=torch.device("cpu"),
        history=np.arange(3.0),
    )
    torch.save(
        {"opt": options, "weights": torch.ones(2)},
        tmp_path / "c.ckpt",
        _use_new_zipfile_serialization=zipped,
    )
    loaded = load_checkpoint(tmp_path / "c.ckpt")
    assert isinstance(loaded["opt"], argparse.Namespace)
    assert loaded["opt"].lr == 0.1
    assert loaded["opt"].epochs == 3
    assert str(loaded["opt"].folder) == "/runs/1"
    assert loaded["opt"].history.tolist() == [0, 1, 2]
    assert loaded["weights"].tolist() == [1, 1]


def test_windows_paths_load_elsewhere(tmp_path):
    """A checkpoint that was written on Windows names pathlib.WindowsPath."""
    content = {"p": pathlib.PurePosixPath("a/b")}
    torch.save(content, tmp_path / "w.ckpt", pickle_module=WindowsPickle)
    assert load_checkpoint(tmp_path / "w.ckpt")["p"] == pathlib.PureWindowsPath("a/b")


class WindowsPickle:
    """The pickle module, of a Windows machine."""

    class Pickler(pickle._Pickler):
        def save_global(self, obj, name=None):
            if obj is pathlib.PurePosixPath:
                self.write(pickle.GLOBAL + b"pathlib\nWindowsPath\n")
            else:
                super().save_global(obj, name)

        dispatch: ClassVar = {**pickle._Pickler.dispatch, type: save_global}


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut off"])
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged\.ckpt"):
        load_checkpoint(path)


def test_truncated_checkpoint(tmp_path):
    path = tmp_path / "cut.ckpt"
    torch.save({"w": torch.zeros(10_000)}, path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(ModelError, match=r"cut\.ckpt"):
        load_checkpoint(path)


def test_a_checkpoint_is_a_dictionary(tmp_path):
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(ModelError, match="list"):
        load_checkpoint(tmp_path / "list.ckpt")

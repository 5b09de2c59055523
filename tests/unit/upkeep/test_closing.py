"""The closing line counts every input once."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from columna.chain import STAGES
from columna.config import Config
from columna.results.layout import Layout
from columna.upkeep import closing


@pytest.mark.parametrize(("more", "open_"), [(0, ""), (2, ", open 2")])
def test_other_images_are_not_open_wherever_they_were_told(monkeypatch, more, open_):
    stopped = [
        ("a", "index", "left out", "wrong_modality", ""),
        ("b", "index", "left out", "missing_file", ""),
        ("c", "prepare", "refused", "wrong_orientation", ""),
        ("d", "prepare", "refused", "unreadable", ""),
        ("e", "semantic", "failed", "crashed", ""),
    ]
    state = SimpleNamespace(are_tables_current=False)
    stages = {STAGES[-1]: {"done": 3}}
    status = SimpleNamespace(stopped=stopped, stages=stages, state=state)
    codes = ["wrong_modality", "missing_file", *["ok"] * (3 + 3 + more)]
    column = SimpleNamespace(to_pylist=lambda: codes)
    monkeypatch.setattr(closing, "cohort_status", lambda *_: status)
    monkeypatch.setattr(closing, "read_inputs", lambda *_: {"input_status": column})
    line = closing.closing_line(Layout(Path("results")), Config())
    assert line.startswith(f"done 3, refused 2, failed 1{open_}, to review")

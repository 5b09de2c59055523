"""Generated files say what the code says."""

import pytest

from columna.docs import ROOT, generated_files


@pytest.mark.parametrize("path", generated_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_generated_file_is_in_step(path):
    assert path.read_text(encoding="utf-8") == generated_files()[path], (
        "run `make docs` and commit the result"
    )

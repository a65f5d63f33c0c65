"""Every input of the fuzzer's corpus again, those among them that once failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())

pytestmark = [
    pytest.mark.one_twin,
    pytest.mark.skipif(os.environ.get("BOWSTRING_NO_EXTENSIONS") == "1", reason="compares both twins"),
]


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_input(path: Path) -> None:
    from .targets import TARGETS

    TARGETS[path.parent.name](path.read_bytes())


def test_there_is_a_corpus_for_every_target() -> None:
    from .targets import TARGETS

    assert {path.parent.name for path in INPUTS} == set(TARGETS)

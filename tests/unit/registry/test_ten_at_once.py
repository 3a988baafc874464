"""Ten runs that publish at one moment: the champion moves from one to the next, nothing is lost, and the order is on record."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import IO

import pytest

from steel_training.registry import Registry
from steel_training.storage import open_storage

RUNS, ROUNDS = 10, 20


@pytest.mark.parametrize("kind", ["folder", pytest.param("s3", marks=pytest.mark.slow)])
def test_ten_concurrent_publications_are_all_kept(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    uri = str(tmp_path / "store") if kind == "folder" else f"{request.getfixturevalue('s3')}/store"
    script = str(Path(__file__).with_name("decide_at_once.py"))
    (tmp_path / "bundles").mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, script, uri, str(number), str(tmp_path / "bundles")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(RUNS)
    ]  # fmt: skip

    def said(process: subprocess.Popen[str]) -> str:
        pipe: IO[str] | None = process.stdout
        assert pipe is not None
        return pipe.readline()

    def tell(line: str) -> None:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(line)
            process.stdin.flush()

    registry = Registry(open_storage(uri), "steel-defects")
    succession: list[str] = []
    lost = 0
    try:
        assert [said(process) for process in processes] == ["ready\n"] * RUNS
        for turn in range(ROUNDS):
            if turn < ROUNDS - 1:
                tell(f"{turn}\n")
            else:  # whatever came of the others' chance: these were all judged against the same champion
                tell(f"{turn} together\n")
                assert [said(process) for process in processes] == ["judged\n"] * RUNS
                tell("go\n")
            answers = [json.loads(said(process)) for process in processes]
            pointer, _ = registry.pointer()
            assert pointer is not None
            chain = [*pointer.history, pointer.version]
            promoted = {answer["version"]: answer["after"] for answer in answers if answer["promoted"]}
            known = chain.index(succession[-1]) if succession else -1
            new = chain[known + 1 :]
            assert set(new) == set(promoted), "whoever was told so is in the succession, and nobody else"
            for before, after in pairwise([succession[-1] if succession else None, *new]):
                assert promoted[str(after)] == before, "each was judged against the one that it followed"
            succession += new
            lost += RUNS - len(promoted)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert len(registry.versions()) == RUNS * ROUNDS
    assert {each["version"] for each in registry.decisions()} == set(registry.versions())
    assert all(registry.verify(version) == [] for version in registry.versions()[::17])
    assert len(succession) >= ROUNDS
    assert lost > 0, "they did meet"

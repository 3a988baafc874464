"""The list of reason codes is whole: what the source can say is told, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import steel_training
from steel_training.config import JUDGED, settings

CODE = re.compile(r"(?:data|labels|leak|collapse|gate|bundle|release)\.[a-z0-9_]+")
SOURCE, DOCUMENT = Path(steel_training.__file__).parent, Path(__file__).parents[2] / "docs" / "reason-codes.md"
FILES = {"gate.json", "labels.parquet", "labels.txt", "data.yaml", "data.yml"}


def constants(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # `bundle.differs` opens the message of an error.
            text = node.value.split(":")[0]
            if CODE.fullmatch(text):
                yield text


def test_reason_codes_in_source_and_docs_agree() -> None:
    said = {code for path in SOURCE.rglob("*.py") for code in constants(path)}
    said |= {f"gate.{name}" for name in JUDGED}  # the gate puts these together
    said -= {key for key, _ in settings() if not key.startswith("gate.")} | FILES
    lines = DOCUMENT.read_text(encoding="utf-8")
    told = {found.group(1) for found in re.finditer(rf"^\|? ?`({CODE.pattern})`", lines, re.MULTILINE)}
    missing, unknown = sorted(said - told), sorted(told - said)
    assert not missing, f"add to docs/reason-codes.md a line '| `CODE` | says | does | what to do |' for {missing}"
    assert not unknown, f"no source says {unknown}: take their lines out of docs/reason-codes.md"

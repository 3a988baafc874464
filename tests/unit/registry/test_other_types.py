"""A value of another type in verdict, gate.json or pointer is named by whoever reads the registry, and is never a traceback."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.errors import SteelTrainingError
from steel_training.registry import MARKER, Registry, VersionDamaged
from steel_training.registry.champion_moves import champions, moves
from steel_training.registry.decisions import Decisions
from steel_training.registry.text import comparison, listing, summary
from steel_training.storage import open_storage
from steel_training.verdict import Reason

KEPT = Path(__file__).parents[2] / "stores" / "schema-1"
FIRST, SECOND = "20260101-00000001", "20260102-00000002"
RECORDS = {
    "verdict": "decisions/run-refused.json",
    "verdict of the champion": f"decisions/run-{SECOND}.json",
    "gate.json": f"versions/{FIRST}/gate.json",
    "pointer": "champion.json",
}
ODD = (None, True, 5, 0.5, "text", [], [5], [None], {}, {"a": []})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("registry") / "store"
    shutil.copytree(KEPT, store, ignore=shutil.ignore_patterns("golden", "saved_model", "*.keras", "runs"))
    for version in (FIRST, SECOND):
        vouch_for(store, version)
    return store


def vouch_for(store: Path, version: str) -> None:
    """Makes checksums that fit the files of a version."""
    folder = store / "models" / "steel-defects" / "versions" / version
    files = [path for path in folder.iterdir() if path.is_file() and path.name != MARKER]
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / MARKER).write_text(json.dumps(sums), encoding="utf-8")


def places(values: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to each value of a JSON value."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from places(value, (*above, key))


def listed(registry: Registry) -> str:
    verdicts = registry.verdicts()
    try:
        champion = registry.champion()[0]
    except SteelTrainingError:
        champion = None
    return listing(verdicts.found[::-1], registry.versions(), champion, unreadable=verdicts.unreadable)


READERS: dict[str, Callable[[Registry], object]] = {
    "models list": listed,
    "models show": lambda registry: summary(FIRST, registry.metadata(FIRST), registry.champion()[0]),
    "models compare": lambda registry: comparison(FIRST, registry.metadata(FIRST), SECOND, registry.metadata(SECOND)),
    "verdicts of the models page": lambda registry: Decisions(registry).read().found,
    "reasons of a verdict that stands": lambda registry: [
        Reason.from_dict(reason) for each in registry.decisions() for reason in each.get("reasons", ())
    ],
    "moves of the champion": lambda registry: moves(champions(registry.store.uri), {"steel-defects": FIRST}),
    "rollback": lambda registry: registry.rollback(),
    "prune": lambda registry: registry.prune(1, dry_run=True),
}


def names(message: str, record: Path, place: tuple[str | int, ...], value: object) -> bool:
    """Whether an error names the record (a version by its id), the way to the value of another type, and that value."""
    path = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in place).lstrip(".") or "it"
    told = f"(schema {value!r};" if path == "schema" else f"{path} is {value!r:.80}; expected"
    of_version = record.parent.name if record.name == "gate.json" else record.name
    return of_version in message and told in message


@settings(max_examples=100)
@given(choice=st.data())
def test_value_of_another_type_is_named_or_of_no_matter(store: Path, choice: st.DataObject) -> None:
    top = store / "models" / "steel-defects"
    record = top / RECORDS[choice.draw(st.sampled_from(list(RECORDS)))]
    pointer, before = (top / "champion.json").read_bytes(), record.read_bytes()
    whole = {"record": json.loads(before)}
    place = choice.draw(st.sampled_from(list(places(whole))))
    *above, last = place
    changed = copy.deepcopy(whole)
    holder = reduce(getitem, above, changed)
    holder[last] = choice.draw(st.sampled_from([odd for odd in ODD if type(odd) is not type(holder[last])]))
    record.write_text(json.dumps(changed["record"]), encoding="utf-8")
    vouch_for(store, FIRST)
    try:
        for read in READERS.values():
            try:
                read(Registry(open_storage(store), "steel-defects"))
            except SteelTrainingError as error:
                assert names(str(error), record, place[1:], holder[last]), str(error)
    finally:
        record.write_bytes(before)
        (top / "champion.json").write_bytes(pointer)
        vouch_for(store, FIRST)


def test_messages_hold_field_value_and_what_was_expected(store: Path) -> None:
    registry, top = Registry(open_storage(store), "steel-defects"), store / "models" / "steel-defects"
    records = [top / name for name in RECORDS.values()]
    before = [record.read_bytes() for record in records]
    refused, _, gate, pointer = (json.loads(content) for content in before)
    try:
        records[0].write_text(json.dumps({**refused, "reasons": [{"code": 5}]}), encoding="utf-8")
        assert (
            "unreadable: models/steel-defects/decisions/run-refused.json (reasons[0].code is 5; expected text)"
            in listed(registry)
        )
        records[2].write_text(json.dumps({**gate, "metrics": {"auc": {"value": "high"}}}), encoding="utf-8")
        vouch_for(store, FIRST)
        with pytest.raises(VersionDamaged, match=r"shown: metrics\.auc\.value is 'high'; expected a number"):
            registry.metadata(FIRST)
        records[3].write_text(json.dumps({**pointer, "history": "abc"}), encoding="utf-8")
        with pytest.raises(SteelTrainingError, match=r"history is 'abc'; expected a list"):
            registry.pointer()
    finally:
        for record, content in zip(records, before, strict=True):
            record.write_bytes(content)
        vouch_for(store, FIRST)

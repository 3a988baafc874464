"""Verdicts are read again only when they were replaced, and are always those that the store holds."""

import concurrent.futures
import os
import threading

import pytest

from steel_training.registry import Decisions, Registry, names
from steel_training.storage import StorageError, open_storage
from steel_training.verdict import Reason, Verdict


@pytest.fixture(params=["folder", "s3"])
def registry(request, tmp_path):
    uri = tmp_path / "store" if request.param == "folder" else f"{request.getfixturevalue('s3')}/some/prefix"
    return Registry(open_storage(uri), "steel-defects")


@pytest.fixture
def reads(registry, monkeypatch):
    """The keys that were read."""
    read, keys = registry.store.read_json, []

    def noted(key):
        keys.append(key.rsplit("/", 1)[-1])
        return read(key)

    monkeypatch.setattr(registry.store, "read_json", noted)
    return keys


def record(registry, run_id, verdict=Verdict.REJECTED):
    registry.record(run_id, verdict, [Reason("gate.recall", run_id)], {"version": None})


def runs(verdicts):
    return [decision["run_id"] for decision in verdicts.found]


def test_they_come_newest_first_and_each_is_read_once(registry, reads):
    decisions = Decisions(registry)
    assert decisions.read().found == []
    for run_id in ("b", "a", "c"):
        record(registry, run_id)
    assert runs(decisions.read()) == runs(decisions.read()) == ["c", "a", "b"]
    assert sorted(reads) == ["a.json", "b.json", "c.json"]


def test_replaced_and_removed_records_are_noticed(registry, reads):
    decisions = Decisions(registry)
    for run_id in ("a", "b"):
        record(registry, run_id)
    decisions.read()
    reads.clear()
    record(registry, "a", Verdict.PUBLISHED)
    assert [(d["run_id"], d["verdict"]) for d in decisions.read().found] == [("a", "published"), ("b", "rejected")]
    assert reads == ["a.json"]
    registry.store.remove_folder("models/steel-defects/decisions", first="a.json")
    assert decisions.read().found == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "Expecting"),
        (b"\xff", "decode"),
        (b"[]", "it is []; expected an object"),
        (b"{}", "run_id is missing"),
        (b'{"run_id": "x", "verdict": "rejected", "decided_at": 5}', "decided_at is 5; expected text"),
        (
            b'{"run_id": "x", "verdict": "rejected", "decided_at": "t", "metrics": []}',
            "metrics is []; expected an object",
        ),
        (
            b'{"run_id": "x", "verdict": "rejected", "decided_at": "t", "reasons": ["x"]}',
            "reasons[0] is 'x'; expected an object",
        ),
    ],
)
def test_one_that_is_none_is_named_and_hides_no_other(registry, content, why):
    record(registry, "a")
    registry.store.write("models/steel-defects/decisions/torn.json", content)
    verdicts = Decisions(registry).read()
    assert runs(verdicts) == ["a"]
    assert [one.key for one in verdicts.unreadable] == ["models/steel-defects/decisions/torn.json"]
    assert why in verdicts.unreadable[0].why


def test_time_limit_returns_newest_records_first(tmp_path, monkeypatch, wait_until):
    registry = Registry(open_storage(tmp_path), "steel-defects")
    for number in range(200):
        record(registry, f"run-{number:03d}")
        os.utime(tmp_path / f"models/steel-defects/decisions/run-{number:03d}.json", (number, number))
    read, gate = registry.store.read_json, threading.Event()

    def slow(key):
        if key < "models/steel-defects/decisions/run-150":
            gate.wait(300)
        return read(key)

    def over_when_the_newest_are_read(futures, timeout):
        assert timeout == 0.5
        wait_until(lambda: sum(future.done() for future in futures) >= 50, "fifty verdicts")
        return concurrent.futures.wait(futures, timeout=0)

    monkeypatch.setattr(registry.store, "read_json", slow)
    decisions = Decisions(registry)
    with monkeypatch.context() as patch:  # half a second, however long it takes to read so many
        patch.setattr("steel_training.registry.decisions.wait", over_when_the_newest_are_read)
        some = decisions.read(within=0.5)
    assert some.missing == 150
    assert runs(some) == [f"run-{number:03d}" for number in reversed(range(150, 200))]
    gate.set()
    everything = decisions.read()
    assert everything.missing == 0
    assert runs(everything) == [f"run-{number:03d}" for number in reversed(range(200))]


def test_a_store_that_could_not_be_reached_is_asked_again(registry, monkeypatch):
    record(registry, "a")
    decisions = Decisions(registry)

    def unreachable(_):
        raise StorageError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(registry.store, "read_json", unreachable)
        with pytest.raises(StorageError, match="gone"):
            decisions.read()
    assert runs(decisions.read()) == ["a"]


def test_failed_background_read_is_not_told_to_the_next_caller(registry, monkeypatch, wait_until):
    record(registry, "a")
    decisions, gate, reading = Decisions(registry), threading.Event(), []

    def unreachable_later(_):
        gate.wait(300)
        raise StorageError("gone")

    def over_at_once(futures, timeout):
        assert timeout == 0.5
        reading.extend(futures)
        return concurrent.futures.wait(reading, timeout=0)

    with monkeypatch.context() as broken:
        broken.setattr(registry.store, "read_json", unreachable_later)
        broken.setattr("steel_training.registry.decisions.wait", over_at_once)
        assert decisions.read(within=0.5).missing == 1
        gate.set()
        wait_until(lambda: reading[0].done(), "a read that has failed")
    assert runs(decisions.read()) == ["a"], "the store answers again"


def test_a_store_tells_which_models_it_holds(registry):
    assert names(registry.store) == []
    record(registry, "a")
    record(Registry(registry.store, "coil-edges"), "a")
    registry.store.write("models/No Name/x", b"")
    assert names(registry.store) == ["coil-edges", "steel-defects"]

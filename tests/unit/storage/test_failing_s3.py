"""S3 that answers late, wrongly, half, or not at all: what can pass is waited for, and nothing is half-written or lost."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from steel_training.registry import ChampionMoved, Registry, VersionDamaged
from steel_training.storage import ConditionFailed, ObjectNotFound, S3Storage, StorageError, open_storage
from steel_training.storage import s3 as s3_module

_SPEC = importlib.util.spec_from_file_location("failing_road", Path(__file__).with_name("failing_road.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
failing_road = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(failing_road)
FAULTS = failing_road.FAULTS


@pytest.fixture
def road(s3: str, s3_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The road that clients made from now on take; pauses are not waited for."""
    found = failing_road.FailingRoad(s3_address)
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.address)
    monkeypatch.setattr(s3_module, "_pause", lambda attempt: None)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    yield found
    found.close()


@pytest.fixture
def direct(s3: str) -> S3Storage:
    """The same bucket by a road without faults."""
    storage = open_storage(f"{s3}/store")
    assert isinstance(storage, S3Storage)
    assert storage.client is not None  # connects now, before the address changes
    return storage


@pytest.fixture
def storage(direct: S3Storage, road: Any, s3: str) -> S3Storage:
    found = open_storage(f"{s3}/store")
    assert isinstance(found, S3Storage)
    return found


def once(fault: str, method: str) -> Any:
    """Lets the first request of a method fail."""
    left = [fault]

    def choose(asked: str, _: str) -> str:
        return left.pop() if asked == method and left else ""

    return choose


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "truncated"])
def test_a_fault_that_passes_is_not_noticed_by_the_writer(
    fault: str, storage: S3Storage, direct: S3Storage, road: Any
) -> None:
    for number, condition in enumerate(({}, {"if_absent": True})):
        road.choose = once(fault, "PUT")
        tag = storage.write(f"{number}", b"what was decided", **condition)
        assert direct.read_tagged(f"{number}") == (b"what was decided", tag)
        road.choose = once(fault, "PUT")
        later = storage.write(f"{number}", b"what was decided later", if_match=tag)
        assert direct.read_tagged(f"{number}") == (b"what was decided later", later)
    assert road.met[fault] == 4


@pytest.mark.parametrize("fault", ["503", "500", "429", "lost before", "truncated", "slow", "changed"])
def test_a_fault_that_passes_is_not_noticed_by_the_reader(
    fault: str, storage: S3Storage, direct: S3Storage, road: Any
) -> None:
    direct.write("here", b"0123456789" * 1000)
    road.choose = once(fault, "GET")
    assert storage.read("here") == b"0123456789" * 1000
    assert road.met[fault] == 1
    road.choose = once(fault, "GET")
    with storage.local_folder("") as folder:
        assert (folder / "here").read_bytes() == b"0123456789" * 1000
    assert road.met[fault] == 2


def test_lost_response_and_other_writer_are_distinguished(storage: S3Storage, direct: S3Storage, road: Any) -> None:
    road.choose = once("lost after", "PUT")
    storage.write("decided", b"mine", if_absent=True)
    assert direct.read("decided") == b"mine"
    road.choose = once("lost before", "PUT")
    with pytest.raises(ConditionFailed):
        storage.write("decided", b"theirs", if_absent=True)
    assert direct.read("decided") == b"mine"


def test_an_upload_that_always_arrives_changed_leaves_nothing(storage: S3Storage, direct: S3Storage, road: Any) -> None:
    road.choose = lambda method, path: "changed" if method == "PUT" else ""
    with pytest.raises(StorageError, match=r"was corrupted in 5 uploads .*, and was removed"):
        storage.write("model", b"weights")
    with pytest.raises(ObjectNotFound):
        direct.read("model")


def test_a_large_file_is_read_back_and_compared(
    storage: S3Storage, direct: S3Storage, road: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "SINGLE_REQUEST", 1000)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "model").write_bytes(bytes(5000))
    (tmp_path / "bundle" / "last").write_bytes(b"whole")
    storage.put_folder(tmp_path / "bundle", "good", last="last")
    assert direct.read("good/model") == bytes(5000)
    road.choose = lambda method, path: "changed" if method == "PUT" and path.endswith("model") else ""
    with pytest.raises(StorageError, match=r"bad/model was corrupted in the upload, and was removed"):
        storage.put_folder(tmp_path / "bundle", "bad", last="last")
    assert list(direct.entries("bad")) == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("503", "overloaded or failing. Nothing was lost"),
        ("lost before", "cannot be reached"),
        ("skewed", "clock is wrong .* Set the clock"),
    ],
)
def test_persistent_fault_is_reported_with_advice(
    fault: str, says: str, storage: S3Storage, direct: S3Storage, road: Any
) -> None:
    direct.write("pointer", b"v1")
    road.choose = lambda method, path: fault
    for action in (
        lambda: storage.write("pointer", b"v2"),
        lambda: storage.read("pointer"),
        lambda: list(storage.entries()),
    ):
        with pytest.raises(StorageError, match=says):
            action()
    assert direct.read("pointer") == b"v1"


@pytest.mark.parametrize("fault", ["truncated", "changed"])
def test_an_answer_that_is_never_whole_is_told(
    fault: str, storage: S3Storage, direct: S3Storage, road: Any, tmp_path: Path
) -> None:
    direct.write("here", b"0123456789")
    road.choose = lambda method, path: fault if method == "GET" else ""
    for read in (storage.read, lambda key: storage.copy_to(key, tmp_path / "copy")):
        with pytest.raises(StorageError, match="cut off or corrupted 5 times"):
            read("here")
    assert road.met[fault] == 10


def test_many_reads_outlast_a_road_that_cuts_one_in_ten(storage: S3Storage, direct: S3Storage, road: Any) -> None:
    patches = {f"p{number:03d}": bytes([number % 251]) * 5000 for number in range(300)}
    for key, data in patches.items():
        direct.write(key, data)
    random = Random(0)
    road.choose = lambda method, path: "truncated" if random.random() < 0.1 else ""
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(storage.read, patches)) == list(patches.values())
    assert road.met["truncated"] > 15


def bundle(folder: Path, version: str) -> Path:
    made = folder / version
    (made / "saved_model").mkdir(parents=True)
    (made / "saved_model" / "model.pb").write_text(version * 500)
    (made / "gate.json").write_text(json.dumps({"version": version}))
    return made


@pytest.mark.slow
def test_publications_over_failing_s3_are_whole_or_absent(
    storage: S3Storage, direct: S3Storage, road: Any, tmp_path: Path
) -> None:
    """Mild faults that retries outlast, and such bad times that they do not."""
    random = Random(0)
    failing, watching = Registry(storage, "steel-defects"), Registry(direct, "steel-defects")
    champion, told = None, 0
    for number in range(24):
        version, rate = f"v{number:02d}", (0.05, 0.2, 0.8)[number % 3]
        road.choose = lambda method, path, rate=rate: random.choice(FAULTS) if random.random() < rate else ""
        done = False
        try:
            failing.publish(bundle(tmp_path, version), version)
            failing.promote(version)
            done = True
        except (StorageError, ChampionMoved, VersionDamaged):
            told += 1
        road.choose = lambda method, path: ""
        now, _ = watching.champion()
        assert now in {champion, version}, "the old one or the new one"
        if done:
            assert now == version
        for held in watching.versions():
            assert watching.verify(held) == []
        if now is not None:
            with watching.bundle() as (served, folder):
                assert (folder / "saved_model" / "model.pb").read_text() == served * 500
        champion = now
    assert 0 < told < 24, "some got through, some did not"
    assert sum(road.met.values()) > 50
    failing.publish(tmp_path / "v23", "v23")  # what was broken off is finished by doing it again
    failing.promote("v23")
    assert watching.champion()[0] == "v23"
    assert watching.verify("v23") == []

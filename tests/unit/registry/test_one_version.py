"""Ten that publish one version with unlike bytes: one is told so, the others that they did not, and the version is whole."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from steel_training.errors import SteelTrainingError
from steel_training.registry import MARKER, Registry, VersionBeingPublished, VersionDamaged
from steel_training.storage import open_storage
from steel_training.storage import s3 as s3_module

WRITERS, FILES = 10, 6


@pytest.fixture(params=["folder", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store") if request.param == "folder" else f"{request.getfixturevalue('s3')}/store"


def bundle(folder: Path, content: str) -> Path:
    """A bundle of which one file is the same whoever makes it, and the others are not."""
    (folder / "saved_model").mkdir(parents=True)
    (folder / "gate.json").write_text(json.dumps({}), encoding="utf-8")
    for number in range(FILES):
        (folder / "saved_model" / f"part{number}").write_text(content * 1000, encoding="utf-8")
    return folder


def registry(uri: str) -> Registry:
    return Registry(open_storage(uri), "steel-defects")


def test_of_ten_with_unlike_bytes_one_publishes(uri: str, tmp_path: Path) -> None:
    for turn in range(20 if not uri.startswith("s3") else 2):
        version, together = f"v{turn}", Barrier(WRITERS)

        def publish(number: int, version: str = version, together: Barrier = together) -> str | SteelTrainingError:
            made, writer = bundle(tmp_path / f"{version}-{number}", f"{number}"), registry(uri)
            writer.holds(version)
            together.wait(60)
            try:
                writer.publish(made, version)
            except (VersionDamaged, VersionBeingPublished) as error:
                return error
            return f"{number}"

        with ThreadPoolExecutor(WRITERS) as pool:
            told = list(pool.map(publish, range(WRITERS)))
        (winner,) = [each for each in told if isinstance(each, str)]
        assert all(version in str(each) for each in told if isinstance(each, SteelTrainingError))
        assert registry(uri).verify(version) == []
        with registry(uri).bundle(version) as (_, folder):
            for number in range(FILES):
                assert (folder / "saved_model" / f"part{number}").read_text(encoding="utf-8") == winner * 1000


def test_ten_with_the_same_bytes_have_all_published(uri: str, tmp_path: Path) -> None:
    together = Barrier(WRITERS)
    made = [bundle(tmp_path / str(number), "same") for number in range(WRITERS)]

    def publish(folder: Path) -> None:
        writer = registry(uri)
        writer.holds("v1")
        together.wait(60)
        writer.publish(folder, "v1")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(publish, made))
    assert registry(uri).verify("v1") == []


def half_written(s3: str, folder: Path) -> None:
    """Leaves what a writer leaves that dies before the last file: everything but the marker, and its claim."""
    writer = registry(f"{s3}/store")
    writer.publish(folder, "v1")
    top = f"{writer.store.location('models/steel-defects/versions/v1')}"
    storage = open_storage(top.rpartition("/")[0])
    storage.client.delete_object(Bucket="steel", Key=f"store/models/steel-defects/versions/v1/{MARKER}")  # type: ignore[attr-defined]
    storage._claim("v1", {"other": "content"})  # type: ignore[attr-defined]


def test_what_a_dead_writer_left_is_replaced_after_a_while(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_written(s3, bundle(tmp_path / "dead", "dead"))
    later = bundle(tmp_path / "later", "later")
    with pytest.raises(VersionBeingPublished, match="try again 60 minutes after it started"):
        registry(f"{s3}/store").publish(later, "v1")
    assert registry(f"{s3}/store").versions() == []
    monkeypatch.setattr(s3_module, "CLAIM_SECONDS", 0)
    registry(f"{s3}/store").publish(later, "v1")
    assert registry(f"{s3}/store").verify("v1") == []
    assert [entry.key for entry in open_storage(f"{s3}/store").files("models/steel-defects/versions")] == []


def test_a_writer_that_was_overtaken_writes_no_marker(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = registry(f"{s3}/store"), registry(f"{s3}/store")
    made = bundle(tmp_path / "quick", "quick")
    must_still_hold = slow.store._must_still_hold  # type: ignore[attr-defined]

    def overtaken(claim: object, prefix: str) -> None:
        with monkeypatch.context() as later:
            later.setattr(s3_module, "CLAIM_SECONDS", 0)
            quick.store._claim(prefix, {"quick": "content"})  # type: ignore[attr-defined]
        must_still_hold(claim, prefix)

    monkeypatch.setattr(slow.store, "_must_still_hold", overtaken)
    with pytest.raises(VersionBeingPublished, match="taken over"):
        slow.publish(bundle(tmp_path / "slow", "slow"), "v1")
    assert slow.versions() == []
    monkeypatch.setattr(s3_module, "CLAIM_SECONDS", 0)
    quick.publish(made, "v1")
    assert quick.verify("v1") == []

"""Versions never change, the pointer moves on conditions, and what is read is what was published."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from steel_training.cli import main
from steel_training.errors import UsageError
from steel_training.registry import MARKER, ChampionMoved, ModelNameRefused, Registry, VersionDamaged, VersionNotFound
from steel_training.storage import StorageError, open_storage
from steel_training.verdict import Reason, Verdict


@pytest.fixture
def registry(tmp_path):
    return Registry(open_storage(tmp_path / "store"), "steel-defects")


@pytest.fixture
def publish(registry, tmp_path):
    def made(version, content="weights", gate=None):
        bundle = tmp_path / f"bundle-{version}-{content}"
        (bundle / "saved_model").mkdir(parents=True)
        (bundle / "saved_model" / "model.pb").write_text(content)
        (bundle / "gate.json").write_text(json.dumps(gate or {}))
        registry.publish(bundle, version)

    return made


def test_a_published_version_can_be_read_back_and_is_verified(registry, publish, tmp_path):
    publish("v1")
    registry.promote("v1")
    with registry.bundle() as (version, folder):
        assert version == "v1"
        assert (folder / "saved_model" / "model.pb").read_text() == "weights"
    (tmp_path / "store/models/steel-defects/versions/v1/saved_model/model.pb").write_text("tampered")
    with pytest.raises(VersionDamaged, match="model.pb"), registry.bundle():
        pass


def test_same_bundle_twice_is_one_version_other_is_refused(registry, publish):
    publish("v1")
    with pytest.raises(VersionDamaged, match="never change"):
        publish("v1", "other")
    assert registry.versions() == ["v1"]


def test_a_version_without_its_checksums_does_not_exist(registry, publish, tmp_path):
    publish("v1")
    (tmp_path / "store/models/steel-defects/versions/v1/checksums.json").unlink()
    assert registry.versions() == []
    with pytest.raises(VersionNotFound):
        registry.promote("v1")


def test_pointer_moves_only_from_expected_champion(registry, publish):
    for version in ("v1", "v2", "v3"):
        publish(version)
    assert registry.promote("v1", expected=None) is None
    assert registry.promote("v2", expected="v1") == "v1"
    with pytest.raises(ChampionMoved, match="compared with v1"):
        registry.promote("v3", expected="v1")
    assert registry.champion()[0] == "v2"


def test_rollback_returns_to_the_champion_before(registry, publish):
    with pytest.raises(VersionNotFound, match="no earlier champion"):
        registry.rollback()
    for version in ("v1", "v2"):
        publish(version)
        registry.promote(version)
    assert registry.rollback() == ("v2", "v1")
    assert registry.champion()[0] == "v1"


def test_rollback_from_unexpected_champion_is_refused(registry, publish):
    for version in ("v1", "v2", "v3"):
        publish(version)
        registry.promote(version)
    with pytest.raises(ChampionMoved, match="champion is v3, no longer v2"):
        registry.rollback(expected="v2")
    assert registry.rollback(expected="v3") == ("v3", "v2")


def test_every_verdict_leaves_one_record_a_run_with_its_reasons(registry):
    for _ in range(2):
        registry.record("run-1", Verdict.REJECTED, [Reason("gate.recall", "0.90")], {"version": None})
    registry.record("run-2", Verdict.PUBLISHED, [], {"version": "v1"})
    assert [(d["run_id"], d["verdict"]) for d in registry.decisions()] == [
        ("run-1", "rejected"),
        ("run-2", "published"),
    ]
    assert registry.decisions()[0]["reasons"] == [{"code": "gate.recall", "message": "0.90"}]


def test_a_run_done_again_names_the_versions_that_it_replaces(registry):
    for version in ("v1", "v2", None, "v3"):
        registry.record("night", Verdict.PUBLISHED if version else Verdict.REJECTED, [], {"version": version})
    (decision,) = registry.decisions()
    assert (decision["version"], decision["replaced"]) == ("v3", ["v1", "v2"])


@pytest.mark.parametrize("rubbish", [b"", b"[1]", b"{"])
def test_a_record_that_is_none_is_replaced_all_the_same(registry, rubbish):
    registry.store.write("models/steel-defects/decisions/night.json", rubbish)
    registry.record("night", Verdict.REJECTED, [], {"version": None})
    assert [decision["run_id"] for decision in registry.decisions()] == ["night"]


def test_without_a_champion_the_message_says_how_to_get_one(registry):
    with pytest.raises(VersionNotFound, match="steel-training run"), registry.bundle():
        pass


def test_rollback_again_goes_further_back_and_never_forward(registry, publish):
    for version in ("v1", "v2", "v3", "v4"):
        publish(version)
        registry.promote(version)
    assert [registry.rollback() for _ in range(3)] == [("v4", "v3"), ("v3", "v2"), ("v2", "v1")]
    with pytest.raises(VersionNotFound, match="no earlier champion"):
        registry.rollback()
    registry.promote("v4")
    assert registry.rollback() == ("v4", "v1")


def test_a_rollback_passes_over_versions_that_are_gone(registry, publish):
    for version in ("v1", "v2", "v3"):
        publish(version)
        registry.promote(version)
    registry.store.remove_folder("models/steel-defects/versions/v2", first=MARKER)
    assert registry.rollback() == ("v3", "v1")


def test_a_pointer_of_the_first_kind_is_still_read(registry, publish):
    publish("v1")
    old = {"version": "v2", "previous": "v1", "moved_at": "2026-11-24T00:00:00+00:00"}
    registry.store.write_json("models/steel-defects/champion.json", old)
    assert registry.rollback() == ("v2", "v1")


def test_a_damaged_version_never_becomes_champion(registry, publish, tmp_path):
    for version in ("v1", "v2"):
        publish(version)
        registry.promote(version)
    (tmp_path / "store/models/steel-defects/versions/v1/saved_model/model.pb").write_text("tampered")
    for move in (registry.rollback, lambda: registry.promote("v1")):
        with pytest.raises(VersionDamaged, match=r"model\.pb of version v1"):
            move()
    assert registry.champion()[0] == "v2"


def test_verification_names_what_is_missing_changed_and_foreign(registry, publish, tmp_path):
    publish("v1")
    assert registry.verify("v1") == []
    folder = tmp_path / "store/models/steel-defects/versions/v1"
    (folder / "gate.json").unlink()
    (folder / "saved_model" / "model.pb").write_text("tampered")
    (folder / "saved_model" / "planted.so").write_text("x")
    told = " ".join(registry.verify("v1"))
    for name in (
        "gate.json of version v1 is missing",
        "model.pb of version v1 differs from what",
        "planted.so of version v1 was not",
    ):
        assert name in told
    with pytest.raises(VersionNotFound):
        registry.verify("v9")


def test_prune_keeps_newest_champion_and_previous(registry, publish):
    for number in range(1, 9):
        publish(f"v{number}")
    for version in ("v1", "v2", "v3"):
        registry.promote(version)
    registry.record("run-1", Verdict.PUBLISHED, [], {"version": "v1"})
    assert registry.prune(2, dry_run=True) == ["v1", "v4", "v5", "v6"]
    assert len(registry.versions()) == 8
    assert registry.prune(2) == ["v1", "v4", "v5", "v6"]
    assert registry.versions() == ["v2", "v3", "v7", "v8"]
    assert registry.prune(2) == []
    assert [d["version"] for d in registry.decisions()] == ["v1"]
    assert registry.rollback() == ("v3", "v2")


def test_newest_is_by_the_time_of_the_verdict_not_by_name(registry, publish):
    for version, at in (("20261124-ff", "2026-11-24T01:00:00"), ("20261124-aa", "2026-11-24T02:00:00")):
        publish(version, gate={"judged_at": at})
    publish("20261123-zz")
    assert registry.versions() == ["20261123-zz", "20261124-ff", "20261124-aa"]


def test_nothing_is_pruned_where_nobody_can_say_what_is_needed(registry, publish):
    publish("v1")
    with pytest.raises(VersionNotFound, match="no champion"):
        registry.prune(1)
    registry.promote("v1")
    for keep in (0, -1):
        with pytest.raises(UsageError, match="at least 1"):
            registry.prune(keep)
    assert registry.versions() == ["v1"]


def test_concurrent_promotion_and_prune_keep_champion(registry, publish, monkeypatch):
    """The prune comes between the look at the version and the move of the pointer."""
    for version in ("v1", "v2", "v3"):
        publish(version)
    registry.promote("v3")
    other = Registry(registry.store, registry.name)
    look = Registry.verify

    def look_and_be_overtaken(self, version):
        found = look(self, version)
        monkeypatch.setattr(Registry, "verify", look)
        assert other.prune(1) == ["v1", "v2"]
        return found

    monkeypatch.setattr(Registry, "verify", look_and_be_overtaken)
    with pytest.raises(ChampionMoved):
        registry.promote("v1")
    assert registry.champion()[0] == "v3"
    assert registry.versions() == ["v3"]


def test_interrupted_prune_is_finished_by_the_next(registry, publish, monkeypatch):
    for version in ("v1", "v2", "v3"):
        publish(version)
    registry.promote("v3")

    def broken(*_, **__):
        raise StorageError("gone")

    monkeypatch.setattr(type(registry.store), "remove_folder", broken)
    with pytest.raises(StorageError):
        registry.prune(1)
    monkeypatch.undo()
    with pytest.raises(VersionNotFound, match="being removed"):
        registry.promote("v1")
    registry.store.path("models/steel-defects/versions/v1/checksums.json").unlink()
    assert registry.versions() == ["v2", "v3"]
    registry.prune(1)
    assert registry.store.folders("models/steel-defects/versions") == ["v3"]


@pytest.mark.parametrize("name", ["../x", "/etc", "", "a/b", "a\0b", "A", ".", "..", "a\\b", "steel\n", "x" * 65, "é"])
def test_a_model_name_cannot_leave_the_store(name, tmp_path, capsys):
    with pytest.raises(ModelNameRefused, match="lower-case letters"):
        Registry(open_storage(tmp_path), name)
    for words in (["models", "list"], ["models", "deploy", "--to", "x"], ["predict", "x.png"], ["serve"]):
        assert main([*words, "--store", str(tmp_path / "store"), f"--name={name}"]) == 2
        assert "is not a valid model name" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", ["../../x", "/etc", "", ".", "a\0b"])
def test_a_version_cannot_leave_the_store(registry, publish, version):
    publish("v1")
    registry.promote("v1")
    for use in (registry.promote, registry.verify, registry.metadata, lambda v: registry.bundle(v).__enter__()):
        with pytest.raises(UsageError):
            use(version)


@pytest.fixture(params=["folder", "s3"])
def shared_store(request, tmp_path):
    if request.param == "folder":
        return str(tmp_path / "store")
    return f"{request.getfixturevalue('s3')}/some/prefix"


def test_readers_get_a_complete_version_or_none(shared_store, tmp_path, wait_until):
    """Each version's files all hold its own name, so that a mixture would show."""
    store = open_storage(shared_store)
    registry = Registry(store, "steel-defects")
    done = threading.Event()

    def bundle_of(version):
        folder = tmp_path / version
        (folder / "saved_model").mkdir(parents=True)
        for name in ("gate.json", "saved_model/a", "saved_model/b", "saved_model/c"):
            (folder / name).write_text(json.dumps({"version": version, "padding": "x" * 20_000}))
        return folder

    seen = [[], [], []]

    def read(number):
        mine = Registry(open_storage(shared_store), "steel-defects")
        random = Random(number)
        while not done.is_set():
            wanted = f"v{random.randrange(1, 13):02d}"
            try:
                with mine.bundle(wanted) as (version, folder):
                    time.sleep(0.002)  # what happens to the store meanwhile does not reach the copy
                    files = [path for path in folder.rglob("*") if path.is_file() and path.name != MARKER]
                    assert len(files) == 4
                    assert {json.loads(path.read_text())["version"] for path in files} == {version}
                seen[number].append(wanted)
            except VersionNotFound:
                seen[number].append(None)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read, number) for number in range(3)]
        try:
            wait_until(lambda: all(seen) or any(reader.done() for reader in readers), "readers that look")
            for number in range(1, 13):
                version = f"v{number:02d}"
                registry.publish(bundle_of(version), version)
                registry.promote(version)
                registry.prune(2)
            wait_until(
                lambda: all(any(each) for each in seen) or any(reader.done() for reader in readers), "readers that find"
            )
        finally:
            done.set()
        for reader in readers:
            reader.result(timeout=300)
    assert all(any(each) and None in each for each in seen)
    assert registry.versions() == ["v11", "v12"]

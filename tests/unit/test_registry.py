"""Versions never change, the pointer moves on conditions, and what is read is what was published."""

import pytest

from steel_training.registry import ChampionMoved, Registry, VersionDamaged, VersionNotFound
from steel_training.storage import open_storage
from steel_training.verdict import Reason, Verdict


@pytest.fixture
def registry(tmp_path):
    return Registry(open_storage(tmp_path / "store"), "steel-defects")


@pytest.fixture
def publish(registry, tmp_path):
    def made(version, content="weights"):
        bundle = tmp_path / f"bundle-{version}-{content}"
        (bundle / "saved_model").mkdir(parents=True)
        (bundle / "saved_model" / "model.pb").write_text(content)
        (bundle / "gate.json").write_text("{}")
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


def test_publishing_the_same_bundle_twice_is_one_version_and_another_is_refused(registry, publish):
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


def test_the_pointer_moves_only_from_the_champion_that_was_judged_against(registry, publish):
    for version in ("v1", "v2", "v3"):
        publish(version)
    assert registry.promote("v1", expected=None) is None
    assert registry.promote("v2", expected="v1") == "v1"
    with pytest.raises(ChampionMoved, match="judged against v1"):
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


def test_every_verdict_leaves_one_record_a_run_with_its_reasons(registry):
    for _ in range(2):
        registry.record("run-1", Verdict.REJECTED, [Reason("gate.recall", "0.90")], {"version": None})
    registry.record("run-2", Verdict.PUBLISHED, [], {"version": "v1"})
    assert [(d["run_id"], d["verdict"]) for d in registry.decisions()] == [
        ("run-1", "rejected"),
        ("run-2", "published"),
    ]
    assert registry.decisions()[0]["reasons"] == [{"code": "gate.recall", "message": "0.90"}]


def test_without_a_champion_the_message_says_how_to_get_one(registry):
    with pytest.raises(VersionNotFound, match="steel-training run"), registry.bundle():
        pass

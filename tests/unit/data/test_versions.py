"""A new or relabelled version is reported once, when it is complete and no longer changing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.data.versions import dated_versions, unseen
from steel_training.storage import ObjectNotFound, Storage, open_storage


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "s3":
        return open_storage(f"{request.getfixturevalue('s3')}/strip")
    return open_storage(tmp_path / "strip")


def test_versions_are_dated_folders_with_a_manifest(root: Storage) -> None:
    assert dated_versions(root.uri) == {}
    for key in ("2026-11-01/manifest.csv", "2026-11-02/manifest.parquet", "2026-11-03/patches/a.png"):
        root.write(key, b"x")
    for key in ("2026-13-01/manifest.csv", "notes/manifest.csv", "manifest.txt"):
        root.write(key, b"x")
    assert sorted(dated_versions(root.uri)) == ["2026-11-01", "2026-11-02"]


def test_only_a_relabelled_version_changes_its_tag(root: Storage) -> None:
    root.write("2026-11-01/manifest.csv", b"a,0")
    root.write("2026-11-02/manifest.csv", b"b,0")
    before = dated_versions(root.uri)
    root.write("2026-11-01/manifest.csv", b"a,1 ")
    after = dated_versions(root.uri)
    assert before["2026-11-02"] == after["2026-11-02"]
    assert unseen(after, after, before) == ["2026-11-01"]


def test_tag_is_the_etag_of_the_listing(root: Storage) -> None:
    root.write("2026-11-01/manifest.csv", b"a,0")
    assert [entry.etag for entry in root.entries()] == [root.entry("2026-11-01/manifest.csv").etag]
    for absent in ("2026-11-01", "2026-11-01/manifest.csv/below"):
        with pytest.raises(ObjectNotFound):
            root.entry(absent)


polls = st.lists(
    st.dictionaries(st.sampled_from(["2026-11-01", "2026-11-02", "2026-11-03"]), st.integers(0, 2).map(str))
)


@given(polls)
def test_every_stable_state_is_reported_once(polls: list[dict[str, str]]) -> None:
    seen: dict[str, str] = {}
    before: dict[str, str] = {}
    for now in polls:
        reported = unseen(now, before, seen)
        assert all(now[name] == before[name] != seen.get(name) for name in reported)
        unchanged = {name for name, tag in now.items() if before.get(name) == tag}
        assert {name for name in unchanged if seen.get(name) != now[name]} == set(reported)
        seen |= {name: now[name] for name in reported}
        before = now

"""Whoever may trigger a run may have the mill's data read, and nothing else of the machine or the bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from steel_training.cli import main
from steel_training.ingest.synthetic.sample import make_sample
from steel_training.storage.roots import OutsideOfRoots, require_below_roots


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mill" / "strips").mkdir(parents=True)
    (tmp_path / "mill" / "away").symlink_to("/etc")
    monkeypatch.setenv("STEEL_TRAINING_ROOTS", f"{tmp_path}/mill s3://steel/strips")
    return tmp_path / "mill"


@pytest.mark.parametrize("uri", ["{0}", "{0}/strips", "{0}/strips/../strips", "file://{0}/x", "s3://steel/strips", "s3://steel/strips/a"])  # fmt: skip
def test_what_lies_below_a_root_is_read(roots: Path, uri: str) -> None:
    require_below_roots("dataset", uri.format(roots))


OUTSIDE = (
    *("", "/", "/etc", "/etc/passwd", "{0}/..", "{0}/../x", "{0}x", "{0}/away/passwd", "file:///etc", "file://{0}/../../x"),
    *("s3://steel", "s3://steel/", "s3://steel/stripsx", "s3://steel/strips/../secrets", "s3://other/strips", "s3://"),
    *("S3://steel/strips", "https://steel/strips", "../mill", "strips"),
)  # fmt: skip


@pytest.mark.parametrize("uri", OUTSIDE)
def test_nothing_else_is_however_it_is_written(roots: Path, uri: str) -> None:
    with pytest.raises(OutsideOfRoots, match=r"dataset is '.*expected something below .*STEEL_TRAINING_ROOTS"):
        require_below_roots("dataset", uri.format(roots))


@pytest.mark.parametrize(
    "setting",
    [
        "model.weights=/etc/passwd",
        'model={"weights": "/etc/passwd"}',  # what the conf {"model": {"weights": …}} of an API call becomes
        'model.weights="s3://other/weights.h5"',
    ],
)
def test_no_way_to_write_a_setting_gets_past(roots: Path, setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    stage = ["resolve_dataset", "--run-id", "r", "--store", str(roots / "store")]
    assert main([*stage, "--dataset", str(roots / "strips"), "--set", setting]) == 2
    assert "model.weights is '" in capsys.readouterr().err
    assert main([*stage, "--dataset", "/etc"]) == 2
    assert "dataset is '/etc', which this installation does not read" in capsys.readouterr().err
    assert not (roots / "store").exists()


def test_words_and_files_below_a_root_are_weights(roots: Path) -> None:
    make_sample(str(roots / "strips"), coils=4, photographs_per_coil=1)
    (roots / "w.h5").touch()
    for number, weights in enumerate(("auto", "steel", "imagenet", "none", f"{roots}/w.h5")):
        stage = ["resolve_dataset", "--run-id", f"r{number}", "--store", str(roots / "store")]
        assert main([*stage, "--dataset", str(roots / "strips"), "--set", f"model.weights={weights}"]) == 0

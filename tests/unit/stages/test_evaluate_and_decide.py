"""The stages that judge, on networks set by hand: what they leave, whom they refuse, and what a champion may be like."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.bundle.input_record import InputRecord
from steel_training.cli import main
from steel_training.config import JUDGED
from steel_training.data.dataset import find_dataset, fingerprint
from steel_training.data.grey_range import GreyRange
from steel_training.evaluation.corrected_labels import CorrectedLabels
from steel_training.evaluation.label_difference import LabelDifference
from steel_training.labels.answers import Answer, Said, append_answers
from steel_training.registry import VersionDamaged
from steel_training.registry.signatures import PRIVATE, PUBLIC, write_key_pair
from steel_training.report.summary import conclude
from steel_training.runs import artifacts
from steel_training.runs.artifacts import BASELINE, MODEL, SCORES, patch_sets, table_of
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run
from steel_training.stages import perform
from steel_training.stages._champion_labels import labels_unlike_champion
from steel_training.storage import open_storage
from steel_training.training.scoring import score
from steel_training.verdict import Verdict

PATCHES = 300
SHARES = {
    "data.val_share": 0.15,
    "data.test_share": 0.4,
}  # so that the test split has the 59 defects that a release needs
SETTINGS = {**SHARES, "model.weights": "none", "gate.resamples": 200, "data.input_size": 32, "threshold.review": True}


def words(settings: Mapping[str, object]) -> list[str]:
    """Settings as options of a command."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of the patches are darker, and a defect is what is dark: a network of one weight can tell."""
    folder = tmp_path_factory.mktemp("dark") / "data"
    (folder / "patches").mkdir(parents=True)
    random, rows = np.random.default_rng(0), []
    for number in range(PATCHES):
        label, path = number % 2, f"patches/p{number:04d}.png"
        grey = random.normal(110 if label else 150, 9)
        Image.fromarray(np.clip(grey + random.normal(0, 3, (24, 24)), 0, 255).astype(np.uint8)).save(folder / path)
        rows.append(
            {
                "patch_id": f"p{number:04d}",
                "path": path,
                "label": label,
                "source_id": f"photo{number // 4:03d}",
                "line": ("west", "east")[number // 4 % 2],
            }
        )
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    (folder / "ingest.json").write_text(json.dumps({"grey_range": {"low": 5, "high": 4000, "images": 150}}))
    return folder


def network(size: int = 32, slope: float = -0.25, middle: float = 130.0) -> Any:
    """Scores a patch by its mean grey value."""
    import keras

    pixels = keras.Input((size, size, 3))
    mean = keras.layers.GlobalAveragePooling2D()(pixels)
    dense = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(pixels, dense(mean))
    dense.set_weights([np.full((3, 1), slope / 3), np.array([-slope * middle])])
    return model


Prepare = Callable[..., Run]


def prepare(
    store: Path, run_id: str, *, data: Path, model: Any = None, baseline: Any = None, **settings: object
) -> Run:
    """A run that stands before `evaluate`: resolved by the command, trained by hand."""
    command = ["resolve_dataset", "--run-id", run_id, "--store", str(store), "--dataset", str(data)]
    assert main([*command, *words({**SETTINGS, **settings})]) == 0
    assert main(["profile_patches", "--run-id", run_id, "--store", str(store)]) == 0
    run = Run(open_storage(store), run_id)
    weights = {"source": "none", "detail": "set by hand", "random": False}

    def leave(stage: str, after: str, trained: Any, name: str) -> None:
        def work(folder: Path) -> StageResult:
            if trained is not None:
                trained.save(folder / name)
            return StageResult(stage, outputs={"weights": weights, "history": {}, "probes": [], "metrics": {}})

        run.perform(stage, run.after(after), work)

    # Its scores saturate: it tells the darkest patches from the rest, and no more.
    leave("check_baseline", "profile_patches", baseline or network(slope=-20.0, middle=105.0), BASELINE)
    leave("train_head", "check_baseline", None, MODEL)
    leave("fine_tune", "train_head", model or network(), MODEL)
    return run


@pytest.fixture
def prepared(tmp_path: Path, dataset: Path) -> Prepare:
    """Prepares runs in a store of the test's own."""

    def make(run_id: str, *, data: Path = dataset, **given: Any) -> Run:
        return prepare(tmp_path / "store", run_id, data=data, **given)

    return make


def publish(run: Run, champion: Any) -> str:
    """Makes a network the champion, as its bundle would have it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        champion.save(Path(folder, "model.keras"))
        Path(folder, "threshold.json").write_text(json.dumps({"threshold": 0.5, "input_size": 48}))
        run.registry.publish(Path(folder), "20261101-champion")
    run.registry.promote("20261101-champion")
    return "20261101-champion"


VERIFIED = {
    "golden": 16, "max_difference": 0.0, "corrupt_image": "refused", "odd_size_image": "scored", "lite": {},
    "latency_ms": {"p50": 9.0, "p95": 11.0}, "throughput_per_s": 150.0, "memory_mb": 900.0,
}  # fmt: skip


def judge(run: Run) -> StageResult:
    """Takes a run from `evaluate` to its decision, without another process for the bundle."""
    perform("evaluate", run)
    run.perform("verify_bundle", run.after("evaluate"), lambda _: StageResult("verify_bundle", outputs=VERIFIED))
    return perform("decide", run)


def test_good_model_against_champion_of_other_input_size(prepared: Prepare, tmp_path: Path) -> None:
    run = prepared("good", **{"data.prevalence": 0.02, "gate.slice_recall": 0.8})
    version = publish(run, network(size=48, middle=120.0))
    judged = perform("evaluate", run).outputs
    assert judged["champion"]["version"] == version
    assert judged["champion"]["difference"]["recall"]["value"] == pytest.approx(
        judged["metrics"]["recall"]["value"] - judged["champion"]["recall"]
    )
    assert judged["sources"]["sources"] == judged["patches"] / 4
    assert {each["value"] for each in judged["slices"]} == {"west", "east"}
    assert judged["review"]["share"] == pytest.approx(judged["review"]["reviewed"] / judged["patches"])
    scores = pd.read_parquet(tmp_path / "store/runs/good/evaluate/scores.parquet")
    assert {"patch_id", "path", "part", "group", "label", "score", "probability", "source_id"} <= set(scores)
    assert (scores["probability"] < scores["score"]).all(), "training weighed defects more"
    bundle = tmp_path / "store/runs/good/evaluate/bundle"
    assert InputRecord.read(bundle) == InputRecord((24, 24), GreyRange(5, 4000)), "as the dataset was ingested"

    verified = perform("verify_bundle", run).outputs
    assert (verified["odd_size_image"], verified["patch"]) == ("refused", [24, 24])
    decided = perform("decide", run)
    assert decided.outputs["publish"], decided.reasons


def relabelled(run: Run, to: Path, patches: Iterable[str]) -> Path:
    """The dataset of a run, divided as there, with the labels of some patches turned."""
    shutil.copytree(run.dataset.uri, to, copy_function=os.link)
    table = pd.read_parquet(Path(run.store.uri, "runs", run.run_id, "resolve_dataset", "patches.parquet"))
    wrong = table["patch_id"].isin(list(patches))
    manifest = table.assign(label=table["label"].where(~wrong, 1 - table["label"]), split=table["part"])
    (to / "manifest.csv").unlink()
    manifest[["patch_id", "path", "label", "source_id", "line", "split"]].to_csv(to / "manifest.csv", index=False)
    return to


def recall_and_precision(run: Run, model: Any, threshold: float) -> tuple[float, float]:
    """Of a network on the test split of a run, counted one by one."""
    test = patch_sets(run)["test"]
    alarms, defects = score(model, test) >= threshold, test.labels == 1
    return (alarms & defects).sum() / defects.sum(), (alarms & defects).sum() / alarms.sum()


def test_champion_is_judged_by_the_labels_of_the_challenger(prepared: Prepare, tmp_path: Path) -> None:
    champion = network(middle=126.0)
    first = prepared("before")
    publish(first, champion)
    before = perform("evaluate", first).outputs["champion"]
    tested = table_of(first, "evaluate", SCORES).query("part == 'test'")
    found = tested[tested["label"] == 1].nlargest(5, "score")["patch_id"]

    second = prepared("after", data=relabelled(first, tmp_path / "relabelled", found))
    after = perform("evaluate", second).outputs["champion"]
    again = table_of(second, "evaluate", SCORES).query("part == 'test'")
    assert again["patch_id"].tolist() == tested["patch_id"].tolist()
    assert (again["label"].to_numpy() != tested["label"].to_numpy()).sum() == 5

    for run, judged in ((first, before), (second, after)):
        assert (judged["recall"], judged["precision"]) == pytest.approx(recall_and_precision(run, champion, 0.5))
    assert after["precision"] < before["precision"], "five defects that it finds are now called clean"


# Five turned labels are many among the 120 patches of the test split, and are not to decide the verdict here.
EASY = {"gate.recall": 0.7, "gate.f2": 0.7, "gate.precision": 0.7, "gate.auc": 0.7}


@pytest.fixture(scope="module")
def corrected_once(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of `corrected`, and a copy of what it held at first. Records name its place, so tests use it one after the other."""
    folder = tmp_path_factory.mktemp("corrected")
    used, kept = folder / "used", folder / "kept"
    versions, store = used / "versions", used / "store"
    shutil.copytree(dataset, versions / "2026-01-01", copy_function=os.link)
    first = prepare(store, "before", data=versions, **EASY)
    judge(first)
    perform("publish_model", first)
    rows = table_of(first, "resolve_dataset", artifacts.PATCHES)
    of = {(split, label): each["patch_id"].tolist() for (split, label), each in rows.groupby(["part", "label"])}
    found = find_dataset(str(versions))
    said = [
        Answer(found.uri, fingerprint(found), patch, what, "Ada", "2026-02-01T10:00:00+00:00", 1.5, blind)
        for patches, what, blind in (
            (of["test", 1][:3], Said.CLEAN, True),
            (of["test", 0][:2], Said.DEFECTIVE, True),
            (of["test", 0][2:4], Said.DEFECTIVE, False),  # does not count
            (of["train", 0][:1], Said.DEFECTIVE, False),
        )
        for patch in patches
    ]
    append_answers(first.store, "Ada", said)
    apply = ["labels", "apply", str(versions), "--store", first.store.uri, "--date", "2026-02-03"]
    assert main([*apply, *words(SHARES)]) == 0
    prepare(store, "after", data=versions, **EASY)
    shutil.copytree(used, kept)
    return used, kept


@pytest.fixture
def corrected(corrected_once: tuple[Path, Path]) -> tuple[Run, Run, Path]:
    """A run that was published, and one before `evaluate` on the version that `labels apply` then made; and the folder of that version.

    Of the test split, three labels were corrected to clean and two to defective; of the training split, one to defective.
    """
    used, kept = corrected_once
    shutil.rmtree(used)
    shutil.copytree(kept, used)
    store = open_storage(used / "store")
    return Run(store, "before"), Run(store, "after"), used / "versions" / "2026-02-03"


def test_metrics_stand_side_by_side_by_the_labels_before_and_after(corrected: tuple[Run, Run, Path]) -> None:
    first, second, _ = corrected
    earlier, judged = first.result("evaluate").outputs, judge(second)
    outputs = second.result("evaluate").outputs
    found = CorrectedLabels.from_dict(outputs["corrected_labels"])
    assert (found.to_clean, found.to_defective) == (3, 2)
    # The network is the same, and so is its threshold: by the labels before, it is what the earlier run measured.
    assert outputs["threshold"]["value"] == earlier["threshold"]["value"]
    for by, measured in ((found.before, earlier), (found.after, outputs)):
        assert by is not None
        assert by.counts.as_dict() == measured["counts"]
        assert by.metrics == pytest.approx({name: measured["metrics"][name]["value"] for name in JUDGED})
    assert judged.outputs["figures"]["recall"]["value"] == outputs["metrics"]["recall"]["value"], (
        "judged by the new ones"
    )


def test_an_edited_record_of_corrections_is_told_and_stops_nothing(corrected: tuple[Run, Run, Path]) -> None:
    _, second, version = corrected
    record = version / "corrections.csv"
    record.write_text(record.read_text().replace(",1,0,Ada", ",0,0,Ada", 1))
    judge(second)
    outputs = second.result("evaluate").outputs
    found = CorrectedLabels.from_dict(outputs["corrected_labels"])
    assert (found.before, found.after) == (None, None)
    assert "the same label before and after in 1 of 6 rows" in found.problem
    assert outputs["counts"]["tp"] > 0


def without_hashes(folder: Path) -> None:
    """Leaves a stage as an earlier version of the program did, which recorded no hashes of files."""
    (folder / "files.json").unlink()
    record = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({name: value for name, value in record.items() if name != "files"}))


def unlike(run: Run) -> LabelDifference:
    """Evaluates a run anew, and returns how many labels it says differ from the champion's."""
    shutil.rmtree(Path(run.store.uri, run.key("evaluate")), ignore_errors=True)
    return LabelDifference.from_dict(perform("evaluate", run).outputs["labels_unlike_champion"])


def test_labels_that_differ_from_the_champions_are_counted_in_report_and_card(
    corrected: tuple[Run, Run, Path],
) -> None:
    first, second, _ = corrected
    assert first.result("evaluate").outputs["labels_unlike_champion"] is None, "there was no champion"
    found = unlike(second)
    assert found == LabelDifference(first.version, PATCHES, to_defective=3, to_clean=3, in_test=5)
    decided = judge(second)
    assert decided.outputs["publish"], decided.reasons
    perform("publish_model", second)
    card = Path(second.store.uri, "models/steel-defects/versions", second.version, "model_card.md")
    page = second.store.read(second.key("report.html")).decode()
    for written in (card.read_text(encoding="utf-8"), page):
        assert f"6 of {PATCHES} labels differ from those of champion {first.version}" in written
        assert "Blind review corrected 5 labels of the test split: 2 from clean to defective, 3 from" in written


def test_where_the_labels_of_the_champion_are_not_known_the_report_says_why(corrected: tuple[Run, Run, Path]) -> None:
    first, second, _ = corrected
    folder, champion = Path(first.store.uri, first.key()), first.version

    def problem() -> str:
        found = labels_unlike_champion(second, champion)
        assert found is not None
        return found.problem

    profile = folder / "profile_patches" / "profile.parquet"
    pd.read_parquet(profile).drop(columns="pixel_hash").to_parquet(profile)
    assert "profile_patches: profile.parquet has SHA-256" in problem()
    without_hashes(profile.parent)
    assert problem() == "the profile of its run before has no pixel_hash."
    profile.write_bytes(b"half a file")
    assert "the profile of its run before cannot be read" in problem()
    profile.unlink()
    assert problem() == "its run before has no profile any more."

    shutil.rmtree(folder)
    found = unlike(second)
    assert (found.champion, found.common) == (champion, 0)
    assert "Run before has no finished stage 'resolve_dataset'" in found.problem


def test_a_champion_whose_run_was_started_again_has_unknown_labels(corrected: tuple[Run, Run, Path]) -> None:
    first, second, version = corrected
    champion = first.version
    again = prepare(Path(first.store.uri), "before", data=version.parent).version
    assert labels_unlike_champion(second, champion) == LabelDifference(
        champion, problem=f"its run before was started again since, and is now that of version {again}."
    )


def test_a_version_that_nobody_corrected_has_no_labels_before(prepared: Prepare) -> None:
    assert perform("evaluate", prepared("plain")).outputs["corrected_labels"] is None


def test_damaged_champion_is_an_error_and_stays(
    prepared: Prepare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = prepared("late")
    version = publish(run, network())
    (tmp_path / f"store/models/steel-defects/versions/{version}/model.keras").write_bytes(b"half a file")
    with pytest.raises(VersionDamaged, match=r"model\.keras"):
        perform("evaluate", run)
    capsys.readouterr()
    assert main(["evaluate", "--run-id", "late", "--store", str(tmp_path / "store")]) == 1
    assert "promote another version" in capsys.readouterr().err
    assert run.find_result("evaluate") is None
    assert run.registry.versions() == [version]
    assert run.registry.champion()[0] == version


@pytest.mark.parametrize(
    ("signed_by", "told"), [(None, "is signed not at all"), ("other", "is signed only by keys that are not trusted")]
)
def test_champion_that_the_site_has_not_signed_is_refused_by_the_command(
    signed_by: str | None,
    told: str,
    prepared: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keys = tmp_path / "keys"
    for name in ("site", "other"):
        write_key_pair(keys / name)
    run = prepared("late")
    monkeypatch.delenv("STEEL_TRAINING_TRUSTED_KEYS", raising=False)
    monkeypatch.setenv("STEEL_TRAINING_SIGNING_KEY", str(keys / signed_by / PRIVATE) if signed_by else "")
    version = publish(run, network())
    pointer = run.registry.pointer()
    monkeypatch.setenv("STEEL_TRAINING_SIGNING_KEY", str(keys / "site" / PRIVATE))
    monkeypatch.setenv("STEEL_TRAINING_TRUSTED_KEYS", str(keys / "site" / PUBLIC))
    capsys.readouterr()
    for stage in ("evaluate", "verify_bundle", "decide", "publish_model"):
        assert main([stage, "--run-id", "late", "--store", str(tmp_path / "store")]) > 0, stage
        said = capsys.readouterr().err
        wanted = f"Version {version} of steel-defects {told}" if stage == "evaluate" else "no finished stage"
        assert wanted in said
    assert (run.registry.pointer(), run.registry.versions(), run.registry.decisions()) == (pointer, [version], [])


def test_model_replaced_between_two_stages_is_refused_by_the_next(
    prepared: Prepare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = prepared("late")
    folder = tmp_path / "store" / "runs" / "late"
    at = ["--run-id", "late", "--store", str(tmp_path / "store")]
    trained = (folder / "fine_tune" / MODEL).read_bytes()
    network(slope=0.25).save(folder / "fine_tune" / MODEL)
    assert main(["evaluate", *at]) == 1
    assert f"{folder}/fine_tune: {MODEL} has SHA-256" in capsys.readouterr().err
    assert run.find_result("evaluate") is None
    (folder / "fine_tune" / MODEL).write_bytes(trained)
    assert main(["evaluate", *at]) == 0
    (folder / "evaluate" / "bundle" / "saved_model" / "fingerprint.pb").write_bytes(b"another graph")
    capsys.readouterr()
    assert main(["verify_bundle", *at]) == 1
    assert f"{folder}/evaluate: bundle/saved_model/fingerprint.pb has SHA-256" in capsys.readouterr().err
    assert run.find_result("verify_bundle") is None
    assert run.registry.versions() == []


REFUSED: Mapping[str, tuple[Callable[[], Any], dict[str, object], str]] = {
    "constant": (lambda: network(slope=0.0), {}, "collapse.constant_score"),
    "not a number": (lambda: network(slope=float("nan")), {}, "gate.not_finite"),
    "too few defects": (network, {"gate.recall": 0.995}, "gate.not_enough_evidence"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_model_without_threshold_is_rejected(
    case: str, prepared: Prepare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build, settings, code = REFUSED[case]
    run = prepared("bad", model=build(), **settings)
    capsys.readouterr()
    assert main(["evaluate", "--run-id", "bad", "--store", str(tmp_path / "store")]) == 3
    answer = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert answer["status"] == "refused"
    assert [reason["code"] for reason in answer["reasons"]] == [code]
    page = run.store.read(run.key("report.html")).decode()
    assert code in page
    registry = run.registry
    assert [(d["verdict"], d["version"]) for d in registry.decisions()] == [(str(Verdict.REJECTED), None)]
    assert (registry.versions(), registry.champion()[0]) == ([], None)
    concluded = conclude(run, run.result("evaluate"))
    assert (concluded.verdict, concluded.version, concluded.metrics) == (Verdict.REJECTED, None, {})
    assert code in concluded.as_text()
    assert "What would help" not in concluded.as_text(), "there are no mistakes to count"
    # What follows has nothing to judge, and says why.
    assert main(["decide", "--run-id", "bad", "--store", str(tmp_path / "store")]) in (1, 2)
    assert main(["verify_bundle", "--run-id", "bad", "--store", str(tmp_path / "store")]) == 1
    assert code in capsys.readouterr().err


def test_a_rejected_run_ends_with_what_would_help_most(
    prepared: Prepare, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = prepared("west", model=network(middle=126.0), **{"gate.auc": 1.0})
    assert not judge(run).outputs["publish"]
    with caplog.at_level(logging.INFO):
        assert main(["reject_model", "--run-id", "west", "--store", str(tmp_path / "store")]) == 3
    (logged,) = [message for message in caplog.messages if message.startswith("What would help most: ")]
    assert caplog.messages[-1] == logged, "a task's log ends with it"
    assert "more examples of line = " in logged
    assert " mistakes on the test split." in logged

    shown = conclude(run, run.result("reject_model")).as_text().splitlines()
    assert [line.strip() for line in shown[-2:]] == [logged, f"report: {run.store.location(run.key('report.html'))}"]


def test_a_run_that_an_earlier_version_rejected_ends_without_advice(prepared: Prepare) -> None:
    run = prepared("early", **{"gate.auc": 1.0})
    judge(run)
    kept = {name: value for name, value in perform("reject_model", run).outputs.items() if name != "advice"}
    text = conclude(run, StageResult("reject_model", outputs=kept)).as_text()
    assert "REJECTED" in text
    assert "help" not in text


def test_a_missing_metric_is_never_published(prepared: Prepare) -> None:
    run = prepared("hole")
    judged = dict(perform("evaluate", run).outputs)
    judged["metrics"] = {name: value for name, value in judged["metrics"].items() if name != "f2"}
    run.perform("evaluate", {"again": 1}, lambda _: StageResult("evaluate", outputs=judged))
    run.perform("verify_bundle", run.after("evaluate"), lambda _: StageResult("verify_bundle"))
    decided = perform("decide", run)
    assert not decided.outputs["publish"]
    assert "gate.f2" in {reason.code for reason in decided.reasons}


def test_misspelt_slice_column_fails_before_training(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ["--dataset", str(dataset), "--set", "slices.columns=[lien]", "--set", "model.weights=none"]
    assert main(["resolve_dataset", "--run-id", "r", "--store", str(tmp_path), *request]) == 2
    assert "lien" in capsys.readouterr().err

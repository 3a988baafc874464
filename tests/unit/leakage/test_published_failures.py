"""The causes of the published "99.97 % recall", one by one: each is refused here, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training import stages
from steel_training.cli import main
from steel_training.config import GateConfig
from steel_training.evaluation.gate import Support, decide, unsound
from steel_training.evaluation.metrics import Counts, Estimate, count
from steel_training.ingest.synthetic.sample import make_sample, photograph_coil
from steel_training.ingest.tiling import CutRule, cut
from steel_training.runs.run import Run
from steel_training.storage import open_storage
from steel_training.training.backbones import SPECS, BackboneSpec
from steel_training.training.input_check import InputRangeMismatch
from steel_training.training.monitoring import MonitorMissing

PUBLISHED = Counts(tp=6053, fn=2, fp=8618, tn=1)


def estimates(counts: Counts, **others: float) -> dict[str, Estimate]:
    values = {"recall": counts.recall, "f2": counts.f2, "precision": counts.precision, **others}
    return {name: Estimate(value, value) for name, value in values.items()}


@pytest.mark.parametrize(
    "gate", [GateConfig(), GateConfig(precision=None, f2=None, auc=None)], ids=["all targets", "recall alone"]
)
def test_published_all_positive_model_is_refused(gate: GateConfig) -> None:
    assert PUBLISHED.recall == pytest.approx(0.9997, abs=5e-5)
    decision = decide(
        estimates(PUBLISHED, auc=0.99), gate, baseline=None, champion=None, counts=PUBLISHED, support=Support(6055)
    )
    assert not decision.publish
    assert "collapse.one_class" in {reason.code for reason in decision.reasons}


def test_f2_averaged_over_batches_is_refused() -> None:
    """Batches without a defect count as perfect, and the mean is far from the truth."""
    random = np.random.default_rng(1)
    labels = (random.random(3200) < 0.05).astype(int)
    scores = np.clip(labels * 0.4 + 0.3 + 0.15 * random.standard_normal(3200), 0, 1)
    batches = [count(labels[i : i + 32], scores[i : i + 32], 0.5) for i in range(0, 3200, 32)]
    batch_mean = float(np.mean([each.f2 if each.tp + each.fn else 1.0 for each in batches]))
    whole = count(labels, scores, 0.5)
    assert abs(batch_mean - whole.f2) > 0.05
    assert [reason.code for reason in unsound(estimates(whole, f2=batch_mean), whole)] == ["gate.not_of_counts"]
    assert unsound(estimates(whole), whole) == ()


class DividedOnceMore(BackboneSpec):
    """What a pipeline builds that scales to 0-1 for a network that does it again."""

    def build(self, input_size: int) -> Any:
        import keras

        scaled = keras.layers.Rescaling(1 / 255)(keras.Input((input_size, input_size, 3)))
        return self.application()(include_top=False, weights=None, input_tensor=scaled)


def test_inputs_normalised_twice_stop_training(
    tmp_path: Path, make_dataset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """EfficientNet rescales inside. Somebody divides by 255 before it, and everything still runs: the stage must not."""
    from steel_training.training import model_trainer

    store, data = tmp_path / "store", make_dataset(tmp_path / "data")
    assert judged(data, store, "baseline.epochs=6", "baseline.min_steps=100", "baseline.batch_size=8")[0] == 0
    monkeypatch.setitem(model_trainer.SPECS, "EfficientNetB0", DividedOnceMore(*astuple(SPECS["EfficientNetB0"])))
    with pytest.raises(InputRangeMismatch, match="normalised twice"):
        stages.perform("train_head", Run(open_storage(store), "failure"))
    assert main(["train_head", "--run-id", "failure", "--store", str(store)]) == 1
    assert Run(open_storage(store), "failure").find_result("train_head") is None


def test_renamed_monitor_metric_stops_training(tmp_path: Path) -> None:
    """An unnamed metric compiled again becomes `recall_1`; early stopping and checkpoint would then watch nothing."""
    import keras

    from steel_training.training import monitoring

    pixels = keras.Input((4,))
    network = keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(pixels))
    network.compile(
        "adam", "binary_crossentropy", metrics=[keras.metrics.Recall(name="recall_1"), keras.metrics.AUC(name="auc")]
    )
    watched, _ = monitoring.callbacks(
        stage="train_head", epochs=2, patience=1, precision=0.7, checkpoint=tmp_path / "w.weights.h5", averaged=False, logs=None
    )  # fmt: skip
    x, y = np.random.default_rng(0).random((32, 4)), np.arange(32) % 2
    with pytest.raises(MonitorMissing, match="val_recall"):
        network.fit(x, y, validation_data=(x, y), epochs=2, callbacks=watched, verbose=0)
    assert not (tmp_path / "w.weights.h5").exists()


def judged(dataset: Path, store: Path, *settings: str) -> tuple[int, set[str]]:
    """Does the stages up to the baseline check, and returns the exit code and the reasons of the last one done."""
    at = ["--run-id", "failure", "--store", str(store)]
    small = ("baseline.input_size=32", "baseline.epochs=1", "baseline.min_steps=0", "model.weights=none")
    request = ["--dataset", str(dataset), *(word for setting in (*small, *settings) for word in ("--set", setting))]
    for stage in (["resolve_dataset", *request], ["profile_patches"], ["validate_patches"], ["check_baseline"]):
        code = main([*stage, *at])
        if code:
            reasons = Run(open_storage(store), "failure").result(stage[0]).reasons
            return code, {reason.code for reason in reasons}
    return 0, set()


def test_validation_set_equal_to_test_set_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_sample(str(data), coils=10, photographs_per_coil=1)
    rows = pd.read_csv(data / "manifest.csv", dtype={"group_id": "string"})
    held_out = rows["group_id"].isin(rows["group_id"].unique()[:4])
    rows["split"] = np.where(held_out, "test", "train")
    again = rows[held_out].assign(split="val", patch_id=rows["patch_id"][held_out] + "_val")
    pd.concat([rows, again]).to_csv(data / "manifest.csv", index=False)
    code, reasons = judged(data, tmp_path / "store")
    assert (code, reasons) == (4, {"data.disjoint_groups", "data.duplicate_content"})


def test_renamed_validation_copies_are_found_by_pixels(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_sample(str(data), coils=10, photographs_per_coil=1)
    rows = pd.read_csv(data / "manifest.csv", dtype={"group_id": "string", "source_id": "string"})
    held_out = rows["group_id"].isin(rows["group_id"].unique()[:4])
    rows["split"] = np.where(held_out, "test", "train")
    again = rows[held_out].copy()
    again["path"] = [f"val/{number}.jpg" for number in range(len(again))]
    (data / "val").mkdir()
    for old, new in zip(rows.loc[again.index, "path"], again["path"], strict=True):
        Image.open(data / old).save(data / new, quality=92)
    for column in ("patch_id", "source_id", "group_id"):
        again[column] = "val_" + again[column].astype(str)
    pd.concat([rows, again.assign(split="val")]).to_csv(data / "manifest.csv", index=False)
    code, reasons = judged(data, tmp_path / "store")
    assert (code, "leak.near_duplicate" in reasons) == (5, True)


def overlapping(folder: Path, **columns: Callable[[pd.DataFrame], object]) -> Path:
    """Cuts drawn strips with a stride of half a patch, and parts the patches at random."""
    (folder / "patches").mkdir(parents=True)
    rows = []
    for number in range(6):
        for photo in photograph_coil(number, photographs=1, shape=(192, 320), seed=4):
            for piece in cut(photo.pixels, photo.mask, CutRule(patch=64, stride=32)):
                if piece.label is not None:
                    path = f"patches/p{len(rows):04d}.png"
                    Image.fromarray(piece.pixels).save(folder / path)
                    rows.append({"patch_id": f"p{len(rows)}", "path": path, "label": piece.label, "source_id": photo.name, "x": piece.x, "y": piece.y})  # fmt: skip
    table = pd.DataFrame(rows)
    table["split"] = np.random.default_rng(0).choice(["train", "val", "test"], len(table), p=[0.6, 0.2, 0.2])
    for name, made in columns.items():
        table[name] = made(table)
    table.to_csv(folder / "manifest.csv", index=False)
    return folder


def test_randomly_split_overlapping_patches_are_refused(
    tmp_path: Path,
) -> None:
    code, reasons = judged(overlapping(tmp_path / "honest"), tmp_path / "one")
    assert (code, reasons) == (4, {"data.disjoint_groups"})
    hidden = overlapping(tmp_path / "hidden", source_id=lambda table: table["patch_id"], x=lambda _: "", y=lambda _: "")
    code, reasons = judged(hidden, tmp_path / "other")
    assert (code, "leak.overlap" in reasons) == (5, True)

"""Heat maps: on synthetic steel they highlight the defect above chance, and they handle odd input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.config import Config
from steel_training.data.patches import PatchSet
from steel_training.ingest.synthetic.sample import make_sample
from steel_training.storage import open_storage
from steel_training.training.heat_maps import NothingToExplain, heat_maps, keep_heat_maps, overlay
from steel_training.training.model_trainer import BaselineCNN, ModelTrainer, TransferLearningModel
from steel_training.training.preprocessing import resize

SIZE = 96


class Drawn:
    """Drawn coils, their masks, and a head trained on them for a few seconds."""

    def __init__(self, folder: Path) -> None:
        make_sample(str(folder), coils=10, photographs_per_coil=2)
        manifest = next(folder.glob("manifest.*"))
        self.table = pd.read_parquet(manifest) if manifest.suffix == ".parquet" else pd.read_csv(manifest)
        last = self.table["group_id"].isin(["coil009", "coil010"])
        self.folder, self.test = folder, self.table[last].reset_index(drop=True)
        train = self.table[~last]
        config = Config.model_validate(
            {
                "data": {"input_size": SIZE},
                "model": {"weights": "steel"},
                "training": {"views": 1, "head": {"epochs": 20, "learning_rate": 0.003}, "fine_tune": {"epochs": 0}},
            }
        )
        trainer = ModelTrainer(config, self.patches(train), self.patches(self.test))
        self.model = TransferLearningModel.build(config.model, SIZE)
        trainer.train_head(self.model)

    def patches(self, rows: pd.DataFrame) -> PatchSet:
        return PatchSet(open_storage(self.folder), tuple(rows["path"]), rows["label"].to_numpy(int), "drawn")

    def pixels(self, rows: pd.DataFrame) -> np.ndarray:
        read = [np.asarray(Image.open(self.folder / path).convert("RGB")) for path in rows["path"]]
        return np.asarray(resize(np.stack(read), SIZE))

    def mask(self, row: pd.Series) -> np.ndarray:
        whole = np.asarray(Image.open(self.folder / "masks" / f"{row['source_id']}.png"))
        x, y = int(row["x"]), int(row["y"])
        cut = Image.fromarray((whole[y : y + 64, x : x + 64] > 0).astype(np.uint8))
        return np.asarray(cut.resize((SIZE, SIZE), Image.Resampling.NEAREST)) > 0


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return Drawn(tmp_path_factory.mktemp("drawn") / "data")


@pytest.mark.parametrize("flips", [False, True])
def test_heat_map_is_on_the_defect_above_chance(drawn: Drawn, flips: bool) -> None:
    defective = drawn.test[drawn.test["label"] == 1]
    masks = np.stack([drawn.mask(row) for _, row in defective.iterrows()])
    maps = heat_maps(drawn.model.scoring_model(flips=flips), drawn.pixels(defective))
    assert (maps.dtype, maps.shape) == (np.float32, masks.shape)
    assert (maps.min(), maps.max()) == (0, 1)
    on_defect = (maps * masks).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))
    ratio = float(on_defect.mean() / masks.mean())
    hit = np.mean([mask.flat[found.argmax()] for mask, found in zip(masks, maps, strict=True)])
    assert ratio > 1.5
    assert hit > 2 * masks.mean()


def test_mirrored_patch_has_a_mirrored_heat_map(drawn: Drawn) -> None:
    network, pixels = drawn.model.scoring_model(flips=True), drawn.pixels(drawn.test.head(4))
    there, back = np.split(heat_maps(network, np.concatenate([pixels, pixels[:, :, ::-1]])), 2)
    np.testing.assert_allclose(there, back[:, :, ::-1], atol=1e-3)


def test_uniform_patch_has_an_empty_or_finite_map(drawn: Drawn) -> None:
    found = heat_maps(drawn.model.keras_model, np.full((2, SIZE, SIZE, 3), 120, np.uint8))
    assert np.all(np.isfinite(found))
    assert heat_maps(drawn.model.keras_model, np.zeros((0, SIZE, SIZE, 3))).shape == (0, SIZE, SIZE)


def test_worst_mistakes_are_written_with_an_index(drawn: Drawn, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = drawn.test.assign(score=random.random(len(drawn.test)))
    kept = keep_heat_maps(drawn.model.keras_model, drawn.patches(drawn.test), table, 0.5, tmp_path / "attention")
    missed = [looked for looked in kept if looked.kind == "missed"]
    alarms = [looked for looked in kept if looked.kind == "false_alarm"]
    assert all(looked.label == 1 and looked.score < 0.5 for looked in missed)
    assert all(looked.label == 0 and looked.score >= 0.5 for looked in alarms)
    assert missed[0].score == min(looked.score for looked in missed)
    assert len(alarms) == 24, "of many, the worst"
    assert alarms[0].score == max(looked.score for looked in alarms)
    index = json.loads((tmp_path / "attention" / "index.json").read_text())
    assert len(index) == len(kept)
    for looked in index:
        for name in ("patch", "overlay"):
            assert Image.open(tmp_path / "attention" / looked[name]).size == (64, 64)
    assert index[0]["defect_type"]
    assert index[-1]["defect_type"] is None


def test_no_mistakes_write_no_images(drawn: Drawn, tmp_path: Path) -> None:
    table = drawn.test.assign(score=drawn.test["label"].astype(float))
    assert keep_heat_maps(drawn.model.keras_model, drawn.patches(drawn.test), table, 0.5, tmp_path / "none") == []


def test_overlay_outlines_the_maximum_on_grey() -> None:
    patch = np.full((20, 20, 3), 100, np.uint8)
    attention = np.zeros((20, 20), np.float32)
    attention[5:12, 5:12] = 1
    shown = overlay(patch, attention)
    assert np.all(shown[attention == 0] == 100)
    assert np.all(shown[5, 5:12] == 255)
    assert np.ptp(shown[8, 8].astype(int)) > 50, "coloured"


def test_network_without_feature_layers_is_refused() -> None:
    with pytest.raises(NothingToExplain, match="no feature layers"):
        heat_maps(BaselineCNN(Config().baseline).keras_model, np.zeros((1, 64, 64, 3)))

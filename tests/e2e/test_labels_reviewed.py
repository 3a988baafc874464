"""On a real scheduler, in a browser: wrong labels end in a rejection, and reading them again in a corrected version that is published.

One label in twenty is turned. The reviewer looks at the pictures only, and answers what was drawn. The steps build on one another and stand
in that order. With `STEEL_TRAINING_SCREENSHOTS=docs` the pictures of the documentation are taken on the way.
"""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from playwright.sync_api import Browser, FrameLocator, Page, expect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

DAY, CORRECTED = "2026-01-09", "2026-01-10"
TURNED = 0.05
FETCHED = """async (image) => {
  const data = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
  return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
}"""


def pixels(file: bytes) -> bytes:
    """The grey values of an image file, by which a patch is known whatever its file is called."""
    return np.asarray(Image.open(io.BytesIO(file)).convert("L")).tobytes()


@pytest.fixture(scope="module")
def mill(start_mill: Callable[..., Any]) -> Any:
    """A mill with the targets of the design and a dataset of which 5 % of the labels are turned."""
    started = start_mill()
    settings = started.folder / "mill.yaml"
    lowered = yaml.safe_load(settings.read_text(encoding="utf-8"))
    del lowered["gate"]
    lowered["data"]["input_size"], lowered["training"]["views"] = 128, 4  # as `make demo`, whose targets these are
    settings.write_text(yaml.safe_dump(lowered), encoding="utf-8")
    version = started.add_version(DAY, seed=20, coils=24)
    # The sample says what each defect is, and validation would find the contradiction.
    drawn = pd.read_csv(version / "manifest.csv").drop(columns="defect_type")
    started.drawn = dict(zip(drawn["patch_id"], drawn["label"], strict=True))
    started.pictures = {
        pixels((version / path).read_bytes()): patch
        for patch, path in zip(drawn["patch_id"], drawn["path"], strict=True)
    }
    turned = np.random.default_rng(5).choice(len(drawn), round(TURNED * len(drawn)), replace=False)
    drawn.loc[turned, "label"] = 1 - drawn.loc[turned, "label"]
    drawn.to_csv(version / "manifest.csv", index=False)
    started.turned = set(drawn.loc[turned, "patch_id"])
    started.switch_on("steel_training")
    started.switch_on("steel_dataset_watch")
    return started


@pytest.fixture(scope="module")
def page(browser: Browser, mill: Any) -> Page:
    """A window of the UI, in which the reviewer is logged in."""
    opened = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    opened.set_default_timeout(60_000)
    opened.context.add_cookies([{"name": "_token", "value": mill.token, "url": mill.airflow.address}])
    return opened


@pytest.fixture
def reads(mill: Any, browser: Browser, start_review: Callable[..., Any]) -> Callable[..., int]:
    """Opens what `labels review` prints, and answers all that it asks."""

    def read(*options: str) -> int:
        words = [str(mill.dataset), "--store", str(mill.store), "--reviewer", "admin"]
        _, address = start_review(*words, "--config", str(mill.folder / "mill.yaml"), *options)
        opened = browser.new_page()
        opened.set_default_timeout(60_000)
        opened.goto(address)
        return review(opened, mill, opened)

    return read


def rejected_run(mill: Any) -> dict[str, Any]:
    (decision,) = mill.decisions()
    return decision


def review(page: Page, mill: Any, shown: FrameLocator | Page, limit: int = 400) -> int:
    """Answer about every patch what was drawn, as the pictures show; return their number."""
    for answered in range(limit):
        expect(shown.locator("#progress-text")).to_contain_text("answered")
        expect(shown.locator("#done:visible, #patch img:visible").first).to_be_visible()
        if shown.locator("#done").is_visible():
            return answered
        seen = pixels(base64.b64decode(shown.locator("#patch img").evaluate(FETCHED)))
        label = mill.drawn[mill.pictures[seen]]
        progress = shown.locator("#progress-text").inner_text()
        shown.get_by_role("button", name="Defective" if label else "Clean").click()
        expect(shown.locator("#progress-text")).not_to_have_text(progress)
    raise AssertionError(f"more than {limit} patches")


def test_model_of_wrong_labels_is_rejected_and_says_what_would_help(mill: Any, page: Page, shots: Path) -> None:
    run = mill.ask("/dags/steel_training/dagRuns", {"logical_date": None, "conf": {"date": DAY}})
    mill.wait_for_end(run["dag_run_id"], 1200)
    assert mill.tasks(run["dag_run_id"])["reject_model"]["state"] == "success"
    decision = rejected_run(mill)
    assert (decision["verdict"], mill.champion()) == ("rejected", None)

    links = mill.ask(f"/dags/steel_training/dagRuns/{run['dag_run_id']}/taskInstances/reject_model/links")
    page.goto(links["extra_links"]["Report"])
    expect(page.get_by_text("What would help most").first).to_be_visible()
    first = page.locator("table", has=page.get_by_text("mistakes, up to", exact=False)).first.locator("tbody tr").first
    expect(first).to_contain_text("Read doubtful labels again")
    page.screenshot(path=shots / "rejected.png", scale="css")


def test_reviewer_reads_doubtful_labels_in_airflow(mill: Any, page: Page, shots: Path) -> None:
    page.goto(f"{mill.airflow.address}/plugin/steel-models")
    models = page.frame_locator("iframe")
    models.get_by_role("link", name="Labels to review").first.click()
    expect(models.get_by_text("rejected").first).to_be_visible()
    models.get_by_role("link", name="worst first").click()
    expect(models.get_by_text("Worst labels first")).to_be_visible()
    expect(models.get_by_role("button", name="Defective")).to_be_enabled()
    page.screenshot(path=shots / "labels-in-airflow.png", scale="css")
    assert review(page, mill, models) > 0

    # Suspects and others in random order, the test split among them, which only blind answers may correct.
    page.goto(f"{mill.airflow.address}/steel-training/labels/{rejected_run(mill)['run_id']}/blind/")
    expect(page.get_by_text("label and score are hidden")).to_be_visible()
    assert review(page, mill, page) > 0


def test_reviewer_reads_the_rest_without_airflow(mill: Any, reads: Callable[..., int]) -> None:
    """The worst labels of a new audit; and validation and test whole and blind, by which a model is chosen and judged."""
    audit = mill.folder / "audit.csv"
    command = [sys.executable, "-m", "steel_training", "labels", "audit", str(mill.dataset), "--out", str(audit)]
    subprocess.run([*command, "--config", str(mill.folder / "mill.yaml")], check=True, capture_output=True)
    assert reads("--split", "train", "--audit", str(audit), "--first", "150") > 0
    for split in ("val", "test"):
        assert reads("--split", split, "--blind", "--controls", "1000000") > 0


def test_corrected_version_is_published(mill: Any, page: Page, shots: Path) -> None:
    command = [sys.executable, "-m", "steel_training", "labels", "apply", str(mill.dataset), "--date", CORRECTED]
    subprocess.run([*command, "--store", str(mill.store)], check=True, capture_output=True)
    now = pd.read_csv(mill.dataset / CORRECTED / "manifest.csv")
    wrong = [p for p, label in zip(now["patch_id"], now["label"], strict=True) if mill.drawn[p] != label]
    assert len(wrong) < len(mill.turned) / 10, "nearly all turned labels were read"
    assert set(wrong) <= mill.turned, "no right label was turned"
    assert not now.set_index("patch_id").loc[wrong, "split"].isin(["val", "test"]).any()

    (run,) = mill.wait(lambda: mill.runs(run_type="asset_triggered"), 240, "a run for the corrected version")
    assert mill.wait_for_end(run["dag_run_id"], 1200)["state"] == "success"
    refused, accepted = mill.decisions()
    assert [refused["dataset_version"], accepted["dataset_version"]] == [DAY, CORRECTED]
    assert (accepted["verdict"], mill.champion()) == ("published", accepted["version"]), accepted

    links = mill.ask(f"/dags/steel_training/dagRuns/{run['dag_run_id']}/taskInstances/publish_model/links")
    page.goto(links["extra_links"]["Report"])
    expect(page.get_by_text("Published").first).to_be_visible()
    corrected = page.get_by_role("heading", name="Metrics before and after the labels were corrected")
    corrected.scroll_into_view_if_needed()
    page.screenshot(path=shots / "after-review.png", scale="css")

"""On a real scheduler, in a browser: wrong labels end in a rejection, and reading them again in a corrected version that is trained on.

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


def test_corrected_version_is_taken_up_and_judged(mill: Any) -> None:
    command = [sys.executable, "-m", "steel_training", "labels", "apply", str(mill.dataset), "--date", CORRECTED]
    subprocess.run([*command, "--store", str(mill.store)], check=True, capture_output=True)
    now = pd.read_csv(mill.dataset / CORRECTED / "manifest.csv")
    wrong = [p for p, label in zip(now["patch_id"], now["label"], strict=True) if mill.drawn[p] != label]
    assert len(wrong) < len(mill.turned) / 2, "most turned labels were among the suspects"
    assert set(wrong) <= mill.turned, "no right label was turned"

    (run,) = mill.wait(lambda: mill.runs(run_type="asset_triggered"), 240, "a run for the corrected version")
    assert mill.wait_for_end(run["dag_run_id"], 1200)["state"] == "success"
    assert [decision["dataset_version"] for decision in mill.decisions()] == [DAY, CORRECTED]

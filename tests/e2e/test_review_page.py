"""What a reviewer does in the browser: press a key per patch, take one back, click, and come to the end.

With `STEEL_TRAINING_SCREENSHOTS=docs` the picture of the documentation is taken on the way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from steel_training.cli import main
from steel_training.ingest.synthetic import make_sample
from steel_training.labels.answers import Said, read_answers
from steel_training.storage import open_storage

pytestmark = pytest.mark.slow
HOSTILE = "Ada <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with drawn strips of which 20 labels are turned, and their audit."""
    folder = tmp_path_factory.mktemp("review")
    data = folder / "data" / "2026-01-01"
    make_sample(str(data), coils=8, photographs_per_coil=2, patch=128)
    manifest = pd.read_csv(data / "manifest.csv").drop(columns="defect_type")
    turned = np.random.default_rng(2).choice(len(manifest), 20, replace=False)
    manifest.loc[turned, "label"] = 1 - manifest.loc[turned, "label"]
    manifest.to_csv(data / "manifest.csv", index=False)
    settings = ["--set", "model.weights=steel", "--set", "data.input_size=128"]
    assert main(["labels", "audit", str(folder / "data"), "--out", str(folder / "audit.csv"), *settings]) == 0
    return folder


@pytest.fixture
def page(
    browser: Browser, audited: Path, tmp_path: Path, start_review: Callable[..., Any]
) -> Iterator[Callable[..., Page]]:
    """Starts `labels review` and opens what it prints; fails on errors of the page."""
    problems: list[str] = []

    def open_(*options: str, reviewer: str = "Ada Novak") -> Page:
        words = [str(audited / "data"), "--store", str(tmp_path / "store"), "--reviewer", reviewer]
        _, address = start_review(*words, "--audit", str(audited / "audit.csv"), *options)
        opened = browser.new_page(viewport={"width": 1200, "height": 900})
        opened.set_default_timeout(60_000)
        opened.on("console", lambda message: problems.append(message.text))
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on("dialog", lambda dialog: problems.append(dialog.message))
        opened.goto(address)
        return opened

    yield open_
    # A refused answer is in the console, and the page says so.
    assert [each for each in problems if "status of 503" not in each] == []


def press(page: Page, key: str, answered: int) -> None:
    expect(page.get_by_role("button", name="Clean")).to_be_enabled()
    page.keyboard.press(key)
    expect(page.locator("#progress-text")).to_contain_text(f"{answered} of")


def test_a_reviewer_answers_with_keys_and_buttons(page: Callable[..., Page], tmp_path: Path) -> None:
    shown = page("--first", "6")
    expect(shown.get_by_text("Reviewer: Ada Novak.")).to_be_visible()
    expect(shown.get_by_text("The audit finds")).to_be_visible()
    for number, key in enumerate("dcx ", start=1):
        press(shown, key, number)
    press(shown, "u", 3)
    expect(shown.get_by_role("button", name="Defective")).to_be_enabled()
    expect(shown.get_by_text("Around it, in the source image")).to_be_visible()
    shown.wait_for_load_state("networkidle")
    folder = os.environ.get("STEEL_TRAINING_SCREENSHOTS")
    shown.screenshot(path=(Path(folder) if folder else tmp_path) / "labels-review.png", scale="css")
    shown.get_by_role("button", name="Defective").click()
    expect(shown.locator("#progress-text")).to_contain_text("4 of 6")
    press(shown, "C", 5)
    shown.reload()
    press(shown, "d", 6)
    expect(shown.get_by_text("All patches are answered")).to_be_visible()
    shown.keyboard.press("c")
    answers = read_answers(open_storage(tmp_path / "store"))
    expected = "defective clean cannot_tell cannot_tell undo defective clean defective"
    assert [answer.said for answer in answers] == [Said(word) for word in expected.split()]
    assert all(0.2 < answer.seconds < 600 for answer in answers if answer.said is not Said.UNDO)
    assert len({answer.patch_id for answer in answers}) == 6


def test_a_blind_page_says_nothing_of_labels(page: Callable[..., Page], audited: Path) -> None:
    shown = page("--blind", "--controls", "10", reviewer=HOSTILE)
    expect(shown.get_by_text(f"Reviewer: {HOSTILE}.")).to_be_visible()
    expect(shown.get_by_text("label and score are hidden")).to_be_visible()
    expect(shown.get_by_role("button", name="Clean")).to_be_enabled()
    text = shown.locator("main").inner_html()
    for name in pd.read_csv(audited / "audit.csv")["patch_id"]:
        assert name not in text
    expect(shown.get_by_text("Most alike")).to_have_count(2)
    expect(shown.get_by_text("Most alike").first).to_be_hidden()
    expect(shown.locator("#label")).to_have_text("")


def test_a_key_pressed_twice_answers_once(page: Callable[..., Page], tmp_path: Path) -> None:
    shown = page()
    expect(shown.get_by_role("button", name="Clean")).to_be_enabled()
    shown.keyboard.press("c")
    shown.keyboard.press("c")
    expect(shown.locator("#progress-text")).to_contain_text("1 of")
    expect(shown.get_by_role("button", name="Clean")).to_be_enabled()
    assert len(read_answers(open_storage(tmp_path / "store"))) == 1


def test_an_answer_that_is_not_stored_is_said(page: Callable[..., Page], tmp_path: Path) -> None:
    shown = page()
    expect(shown.get_by_role("button", name="Clean")).to_be_enabled()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "labels").write_text("a file where the folder of answers belongs")
    shown.keyboard.press("c")
    expect(shown.get_by_role("alert")).to_be_visible()
    expect(shown.locator("#progress-text")).to_contain_text("0 of")
    (tmp_path / "store" / "labels").unlink()
    press(shown, "c", 1)
    expect(shown.get_by_role("alert")).to_be_hidden()

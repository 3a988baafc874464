"""What is handed out says nothing of labels; what the real Label Studio wrote is taken in; bad files change nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.cli import main
from steel_training.data.dataset import find_dataset, fingerprint
from steel_training.labels.answers import FOLDER, Said, read_answers
from steel_training.labels.review.handed_out import CONFIG, IMAGES, KEY, LABELS, TASKS
from steel_training.labels.review.review import Review
from steel_training.storage import open_storage

REAL = Path(__file__).parent / "files" / "label-studio-1.23.2.json"
"""Label Studio 1.23.2 from PyPI: three of six handed-out patches answered on its page by the keys d, c and x, a fourth one skipped."""

Begin = Callable[..., Review]


@pytest.fixture
def out(data: Path, audit_file: Path, tmp_path: Path) -> Path:
    words = [
        "labels",
        "hand-out",
        str(data.parent),
        str(tmp_path / "out"),
        "--audit",
        str(audit_file),
        "--controls",
        "4",
    ]
    assert main(words) == 0
    return tmp_path / "out"


def take_in(file: Path, key: Path, store: Path, *words: str) -> int:
    return main(["labels", "take-in", str(file), "--key", str(key), "--store", str(store), *words])


def names_of(out: Path) -> dict[str, str]:
    return json.loads((out / KEY).read_text())["patches"]


def test_what_is_handed_out_says_nothing(out: Path, data: Path) -> None:
    tasks = json.loads((out / TASKS).read_text())
    assert [set(task["data"]) for task in tasks] == [{"image", "name"}] * 8
    assert [task["data"]["name"] for task in tasks] == sorted(names_of(out))
    for task in tasks:
        patch_id = names_of(out)[task["data"]["name"]]
        picture = base64.b64decode(task["data"]["image"].removeprefix("data:image/png;base64,"))
        assert picture == (out / IMAGES / task["data"]["name"]).read_bytes()
        given = np.asarray(Image.open(data / "patches" / f"{patch_id}.png").convert("RGB"))
        assert np.array_equal(np.asarray(Image.open(out / IMAGES / task["data"]["name"])), given)
    text = (out / TASKS).read_text()
    assert not any(patch_id in text for patch_id in names_of(out).values())
    ET.fromstring((out / CONFIG).read_text())
    assert [label["name"] for label in json.loads((out / LABELS).read_text())] == ["defective", "clean", "cannot_tell"]


def real_key(tmp_path: Path) -> Path:
    """A dataset and a key that fit the file of the real Label Studio."""
    data = tmp_path / "real"
    data.mkdir()
    Image.new("L", (8, 8)).save(data / "a.png")
    rows = [{"patch_id": f"p{n}", "path": "a.png", "label": n % 2, "source_id": f"s{n}"} for n in range(6)]
    pd.DataFrame(rows).to_csv(data / "manifest.csv", index=False)
    names = [task["data"]["name"] for task in json.loads(REAL.read_text())]
    patches = {name: f"p{number}" for number, name in enumerate(names)}
    key = {"dataset": str(data), "fingerprint": fingerprint(find_dataset(str(data))), "patches": patches}
    (tmp_path / KEY).write_text(json.dumps(key))
    return tmp_path / KEY


def test_answers_of_the_real_label_studio_are_taken_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, store = real_key(tmp_path), tmp_path / "store"
    assert take_in(REAL, key, store) == 0
    answers = read_answers(open_storage(store))
    assert [(each.patch_id, each.said) for each in answers] == [
        ("p0", Said.DEFECTIVE), ("p1", Said.CLEAN), ("p2", Said.CANNOT_TELL),
    ]  # fmt: skip
    assert {(each.by, each.blind) for each in answers} == {("Label Studio user 1", True)}
    assert all(1 < each.seconds < 2 and each.at.startswith("2026-11-29T01:48") for each in answers)
    assert take_in(REAL, key, store) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"recorded": 0, "known": 3}
    assert len(read_answers(open_storage(store))) == 3
    assert take_in(REAL, key, store, "--reviewer", "Ben") == 0
    assert len(read_answers(open_storage(store))) == 6


def cvat(out: Path, tags: dict[str, list[str]], dumped: str = "2026-11-29 02:03:04.123456+00:00") -> Path:
    images = "".join(
        f'<image id="{n}" name="{name}" width="48" height="48">'
        + "".join(f'<tag label="{tag}" source="manual"></tag>' for tag in found)
        + "</image>"
        for n, (name, found) in enumerate(tags.items())
    )
    file = out.parent / "annotations.xml"
    head = f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><dumped>{dumped}</dumped></meta>'
    file.write_text(f"{head}{images}</annotations>")
    return file


def test_tags_of_cvat_are_taken_in(out: Path, tmp_path: Path) -> None:
    first, second, *rest = names_of(out)
    file = cvat(out, {f"images/{first}": ["defective"], second: ["clean"], **{name: [] for name in rest}})
    assert take_in(file, out / KEY, tmp_path / "store", "--reviewer", "Ada") == 0
    answers = read_answers(open_storage(tmp_path / "store"))
    assert [(each.patch_id, each.said, each.by) for each in answers] == [
        (names_of(out)[first], Said.DEFECTIVE, "Ada"), (names_of(out)[second], Said.CLEAN, "Ada"),
    ]  # fmt: skip
    assert {each.at for each in answers} == {"2026-11-29T02:03:04.123456+00:00"}


def test_who_saw_the_label_before_is_not_blind(out: Path, begin: Begin, tmp_path: Path) -> None:
    openly = begin()
    openly.answer(openly.window()["items"][0]["name"], Said.CLEAN, 1, "Ada")
    seen = next(name for name, patch_id in names_of(out).items() if patch_id == "p0003")
    assert take_in(cvat(out, {seen: ["clean"]}), out / KEY, tmp_path / "store", "--reviewer", "Ada") == 0
    assert [each.blind for each in read_answers(open_storage(tmp_path / "store"))] == [False, False]


@pytest.mark.parametrize(
    ("tags", "words", "said"),
    [
        (["clean"], [], "--reviewer NAME"),
        (["clean", "defective"], ["--reviewer", "Ada"], "expected one of"),
        (["scratch"], ["--reviewer", "Ada"], "expected one of"),
        ([], ["--reviewer", "Ada"], "holds no answers"),
        (["clean"], ["--reviewer", " "], "is no name"),
    ],
)
def test_answers_that_do_not_fit_are_named(
    tags: list[str], words: list[str], said: str, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cvat(out, {next(iter(names_of(out))): tags})
    assert take_in(file, out / KEY, tmp_path / "store", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "store" / FOLDER).exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "is not a JSON export"),
        ("[]", "holds no answers"),
        ('[{"data": {}, "annotations": []}]', "0.data.name"),
        ("<other/>", "begins with <other>"),
        ("<annotations><track/></annotations>", "CVAT for images"),
        ("<broken", "not well-formed"),
    ],
)
def test_files_of_another_form_are_named(
    text: str, said: str, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text(text)
    assert take_in(tmp_path / "file", out / KEY, tmp_path / "store") == 2
    assert said in capsys.readouterr().err


def test_a_file_about_other_pictures_is_named(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert take_in(REAL, out / KEY, tmp_path / "store") == 2
    assert "pictures that" in capsys.readouterr().err


def test_a_changed_dataset_and_a_bad_key_are_named(
    out: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cvat(out, {next(iter(names_of(out))): ["clean"]})
    assert take_in(file, tmp_path / "no.json", tmp_path / "store") == 2
    assert "does not exist" in capsys.readouterr().err
    (tmp_path / "bad.json").write_text("{}")
    assert take_in(file, tmp_path / "bad.json", tmp_path / "store") == 2
    assert "is no key.json" in capsys.readouterr().err
    Image.new("L", (48, 48)).save(data / "patches" / "p0001.png")
    assert take_in(file, out / KEY, tmp_path / "store", "--reviewer", "Ada") == 2
    assert "changed since it was handed out" in capsys.readouterr().err


def test_a_folder_that_is_there_is_kept(out: Path, data: Path, audit_file: Path) -> None:
    before = (out / KEY).read_bytes()
    assert main(["labels", "hand-out", str(data.parent), str(out), "--audit", str(audit_file)]) == 2
    assert (out / KEY).read_bytes() == before

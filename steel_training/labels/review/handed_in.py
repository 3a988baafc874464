"""Takes in what people answered in Label Studio (its JSON export) or CVAT ("CVAT for images 1.1"), as records of answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter

from steel_training.data.dataset import find_dataset, fingerprint
from steel_training.errors import UsageError
from steel_training.ingest.json_files import Number, read_json
from steel_training.ingest.xml_files import parse_xml
from steel_training.labels.answers import Answer, Said, append_answers, read_answers
from steel_training.labels.review.handed_out import SAID, read_key
from steel_training.labels.review.opened import require_name
from steel_training.storage import open_storage

_LARGEST_XML = 1 << 30
_AT_ONCE = 500


class CannotTakeIn(UsageError):
    """The file holds no answers to what was handed out; the message says why. Nothing was recorded."""


@dataclass(frozen=True)
class Given:
    """One answer of the file: program, name of the picture, answer, person (empty: not said), moment and seconds."""

    tool: str
    name: str
    said: Said
    by: str
    at: datetime
    seconds: float


class _Choice(BaseModel):
    choices: list[str] = Field(default_factory=list)


class _Result(BaseModel):
    type: str = ""
    value: _Choice


class _Annotation(BaseModel):
    result: list[_Result]
    completed_by: int | str | dict[str, Any] | None = None
    was_cancelled: bool = False
    created_at: AwareDatetime
    lead_time: Number | None = None


class _Data(BaseModel):
    name: str


class _Task(BaseModel):
    data: _Data
    annotations: list[_Annotation]


_TASKS = TypeAdapter(list[_Task])


def take_in(file: Path, key_file: Path, store: str, reviewer: str | None) -> tuple[int, int]:
    """Record the answers of a file; those that are recorded already are left out, so that a later export may hold them again.

    An answer counts as blind unless its reviewer had answered about the patch with its label in view before.

    Args:
        file: JSON export of Label Studio, or XML of CVAT.
        key_file: `key.json` of what was handed out.
        store: for the answers.
        reviewer: name of the person, where the file does not say it or one person answered.

    Returns:
        Number of answers recorded, and of those left out.

    Raises:
        KeyUnreadable: the key does not exist or is damaged.
        AnnotationInvalid: the file is of another form.
        CannotTakeIn: it is about other pictures, the dataset changed, or it is unknown who answered.
        AnswerInvalid: an answer in the store was edited by hand.
    """
    key = read_key(key_file)
    content = fingerprint(find_dataset(key.dataset))
    if content != key.fingerprint:
        raise CannotTakeIn(
            f"{key.dataset} changed since it was handed out (fingerprint {key.fingerprint[:12]}…, now {content[:12]}…). Restore the version."
        )
    given = _read(file)
    unknown = [each.name for each in given if each.name not in key.patches]
    if unknown:
        raise CannotTakeIn(
            f"{file} has {len(unknown):,} answers about pictures that {key_file} does not name, such as {unknown[0]!r}."
        )
    people = {each.by for each in given}
    if reviewer is not None:
        require_name(reviewer)
        if len(people) > 1:
            raise CannotTakeIn(
                f"{len(people)} people answered in {file}: {', '.join(sorted(people))}. Leave --reviewer away."
            )
    elif "" in people:
        raise CannotTakeIn(f"{file} does not say who answered; name the person: --reviewer NAME.")
    target = open_storage(store)
    before = read_answers(target)
    openly = {(each.by, each.patch_id) for each in before if each.dataset == key.dataset and not each.blind}
    known = {(each.dataset, each.by, each.patch_id, each.at, each.said) for each in before}
    answers = []
    for each in given:
        by, patch_id = reviewer or each.by, key.patches[each.name]
        answer = Answer(
            key.dataset, key.fingerprint, patch_id, each.said, by, each.at.isoformat(), each.seconds,
            blind=(by, patch_id) not in openly, shown={"in": each.tool},
        )  # fmt: skip
        if (answer.dataset, answer.by, answer.patch_id, answer.at, answer.said) not in known:
            answers.append(answer)
    for start in range(0, len(answers), _AT_ONCE):
        session = f"handed-in-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        append_answers(target, session, answers[start : start + _AT_ONCE])
    return len(answers), len(given) - len(answers)


def _read(file: Path) -> list[Given]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CannotTakeIn(f"{file} cannot be read: {error.strerror}.") from None
    found = (
        _of_cvat(data, file) if data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") else _of_label_studio(data, file)
    )
    if not found:
        raise CannotTakeIn(f"{file} holds no answers. Export it after somebody has answered.")
    return found


def _of_label_studio(data: bytes, file: Path) -> list[Given]:
    found = []
    for task in read_json(
        data, _TASKS, str(file), expected="a JSON export of Label Studio with answers to tasks of 'labels hand-out'"
    ):
        for one in task.annotations:
            said = [choice for result in one.result if result.type == "choices" for choice in result.value.choices]
            if not one.was_cancelled and said:
                name, seconds = task.data.name, max(one.lead_time or 0.0, 0.0)
                person = _person(one.completed_by)
                found.append(Given("Label Studio", name, _said(said, name, file), person, one.created_at, seconds))
    return found


def _person(completed_by: int | str | dict[str, Any] | None) -> str:
    if isinstance(completed_by, dict):
        return str(completed_by.get("email") or completed_by.get("id") or "")
    return "" if completed_by is None else f"Label Studio user {completed_by}"


def _of_cvat(data: bytes, file: Path) -> list[Given]:
    root = parse_xml(data, str(file), max_bytes=_LARGEST_XML)
    if root.tag != "annotations" or root.find("track") is not None:
        raise CannotTakeIn(f"{file} begins with <{root.tag}>; export the task from CVAT as 'CVAT for images 1.1'.")
    text = root.findtext("meta/dumped") or ""
    try:
        at = datetime.fromisoformat(text.replace(" +", "+"))
    except ValueError:
        at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    found = []
    for image in root.findall("image"):
        name = image.get("name", "").rpartition("/")[2]
        said = [tag.get("label", "") for tag in image.findall("tag")]
        if said:
            found.append(Given("CVAT", name, _said(said, name, file), "", at, 0.0))
    return found


def _said(said: Sequence[str], name: str, file: Path) -> Said:
    if len(set(said)) != 1 or said[0] not in SAID:
        raise CannotTakeIn(
            f"{file} answers {', '.join(said)} about {name}; expected one of {', '.join(SAID)}. Correct it and export again."
        )
    return Said(said[0])

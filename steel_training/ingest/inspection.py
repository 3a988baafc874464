"""Looks at a folder, and says what is in it and which `ingest` command reads it. What it cannot know it names, and does not choose."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any

from steel_training.data.defect_types import names_no_defect
from steel_training.errors import UsageError
from steel_training.ingest.annotations_file import image_name
from steel_training.ingest.csv_tables import read_csv
from steel_training.ingest.inspected_depth import inspected_depth
from steel_training.ingest.mask_names import likely_suffix
from steel_training.ingest.name_matching import match_names
from steel_training.ingest.problems import first_ten
from steel_training.ingest.source_images import SUFFIXES, composed
from steel_training.ingest.xml_files import parse_xml
from steel_training.storage import Storage, open_storage

_READ_BYTES = 256 << 20
_MASK_FOLDERS = frozenset(
    {"mask", "masks", "gt", "ground_truth", "groundtruth", "label", "labels", "annotations", "segmentationclass"}
)
_CLASS_FILES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt")


@dataclass
class Found:
    """One way to read the folder.

    Attributes:
        format: of `ingest`.
        what: what was seen of it.
        arguments: of the command, without OUT.
        names: images that have an annotation, as it names them; `None` where every image has a label.
        classes: classes and how often they occur.
        notes: what the user has to decide or check.
    """

    format: str
    what: str
    arguments: list[str]
    names: set[str] | None = None
    classes: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        """The command to type."""
        positions = [*takewhile(lambda word: not word.startswith("--"), self.arguments), "OUT"]
        return shlex.join(["steel-training", "ingest", self.format, *positions, *self.arguments[len(positions) - 1 :]])


class NothingToInspect(UsageError):
    """The folder holds no file, or does not exist."""


def inspect(path: str) -> str:
    """Describe a folder, and how to ingest it.

    Args:
        path: folder or S3 prefix.

    Returns:
        Text for the terminal: files seen, formats recognised, classes, what has to be decided, and a command for each format.

    Raises:
        NothingToInspect: there is no file.
    """
    storage = open_storage(path)
    keys = sorted(entry.key for entry in storage.entries() if not PurePosixPath(entry.key).name.startswith("."))
    if not keys:
        raise NothingToInspect(f"{path} holds no file or does not exist; expected a folder of images.")
    suffixes = Counter(PurePosixPath(key).suffix.lower() or "without suffix" for key in keys)
    lines = [f"{path}: {', '.join(f'{count:,} {suffix}' for suffix, count in suffixes.most_common())}"]
    if any(key in ("manifest.csv", "manifest.parquet") for key in keys):
        return "\n".join(
            [
                *lines,
                "It has a manifest: it is a dataset already.",
                f"    steel-training run {shlex.quote(path)} --store STORE",
            ]
        )
    images = [key for key in keys if PurePosixPath(key).suffix.lower() in SUFFIXES]
    found = [one for look in _LOOKS for one in look(_Folder(storage, path.rstrip("/"), keys, images))]
    depth = inspected_depth(storage, _without_masks(images))
    if depth is not None:
        lines += ["", str(depth)]
    if depth is not None and depth.deep == depth.decoded:
        for one in found:
            one.arguments += ["--grey-range", str(depth.suggested)]
    for one in found:
        lines += ["", f"{one.format}: {one.what}", *_decisions(one, images), f"    {one.command}"]
    if not found:
        lines += [
            "",
            f"No annotation was recognised for {len(images):,} images. Formats: steel-training ingest --help, docs/ingest.md.",
        ]
    if len(found) > 1:
        lines += ["", f"{len(found)} formats were recognised: choose the one that holds the labels."]
    return "\n".join(lines)


def _without_masks(images: list[str]) -> list[str]:
    stems = [str(PurePosixPath(image).with_suffix("")) for image in images]
    suffix = likely_suffix(stems, stems)
    return [
        image
        for image, stem in zip(images, stems, strict=True)
        if not (suffix and stem.endswith(suffix))
        and not {part.lower() for part in PurePosixPath(image).parent.parts} & _MASK_FOLDERS
    ]


def _decisions(found: Found, images: list[str]) -> list[str]:
    """Return what has to be decided, and add the options to the command."""
    lines = [f"  {note}" for note in found.notes]
    if found.classes:
        lines.append(f"  classes: {', '.join(f'{name} {count:,}' for name, count in found.classes.most_common(20))}")
        if clean := [name for name in found.classes if names_no_defect(name)]:
            lines.append(f"  {first_ten(clean)} does not sound like a defect: --clean-names, or rename the class")
            found.arguments += ["--clean-names", ",".join(clean)]
    if found.names is not None:
        stems = [composed(str(PurePosixPath(image).with_suffix(""))) for image in images]
        matches = match_names(stems, {name: name for name in found.names}, "files")
        missing = len(stems) - len(matches.found) - len(matches.ambiguous)
        if missing:
            lines.append(
                f"  {missing:,} of {len(stems):,} images have no annotation: --missing skip leaves them out; --missing clean only if that means "
                "no defect"
            )
            found.arguments += ["--missing", "skip"]
        if matches.ambiguous:
            lines.append(f"  {len(matches.ambiguous):,} images could have several annotations: give them unique names")
        if matches.unmatched:
            lines.append(
                f"  {len(matches.unmatched):,} annotations belong to no image: --unmatched skip leaves them out"
            )
            found.arguments += ["--unmatched", "skip"]
    return lines


@dataclass(frozen=True)
class _Folder:
    """A listed folder: keys of all files, and of the images."""

    storage: Storage
    path: str
    keys: list[str]
    images: list[str]

    @property
    def stems(self) -> list[str]:
        return [str(PurePosixPath(image).with_suffix("")) for image in self.images]

    def of_suffix(self, suffix: str) -> list[str]:
        return [key for key in self.keys if PurePosixPath(key).suffix.lower() == suffix]

    def below(self, key: str) -> str:
        return self.path if key in ("", ".") else f"{self.path}/{key}"


Look = Callable[[_Folder], Iterator[Found]]


def _mvtec(folder: _Folder) -> Iterator[Found]:
    roots = {
        str(PurePosixPath(key).parents[2])
        for key in folder.images
        if key.count("/") >= 2 and PurePosixPath(key).parts[-3] == "ground_truth"
    }
    for root in sorted(roots):
        below = [key for key in folder.images if root == "." or key.startswith(f"{root}/")]
        folders = Counter("/".join(PurePosixPath(key).parts[-3:-1]) for key in below)
        listed = ", ".join(f"{name} {count:,}" for name, count in sorted(folders.items()))
        yield Found("mvtec", listed, [folder.below(root)])


def _xml(folder: _Folder) -> Iterator[Found]:
    boxes, classes = folder.of_suffix(".xml"), Counter[str]()
    kinds: Counter[str] = Counter()
    for key in boxes:
        try:
            root = parse_xml(folder.storage.read(key), key, max_bytes=_READ_BYTES)
        except UsageError:
            kinds["unreadable"] += 1
            continue
        kinds[root.tag] += 1
        if root.tag == "annotations" and root.find("image") is not None:
            names = {image_name(image.get("name", "")) for image in root.findall("image")}
            shapes = Counter(shape.get("label", "") for image in root.findall("image") for shape in image)
            yield Found("cvat", f"{key}, {len(names):,} images", [folder.path, folder.below(key)], names, shapes)
        classes.update((item.findtext("name") or "").strip() for item in root.findall("object"))
    if kinds["annotation"]:
        what = f"{len(boxes):,} XML files of Pascal VOC"
        yield Found(
            "voc", what, [folder.path, folder.below(_common(boxes))], _stems(boxes), classes, _unreadable(kinds)
        )


def _json(folder: _Folder) -> Iterator[Found]:
    files, classes, shapes, kinds = folder.of_suffix(".json"), Counter[str](), set[str](), Counter[str]()
    for key in files:
        try:
            content = json.loads(folder.storage.read(key))
        except (ValueError, RecursionError):
            kinds["unreadable"] += 1
            continue
        if isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content):
            yield _coco(content, folder, key)
        elif isinstance(content, dict) and isinstance(content.get("shapes"), list):
            shapes.add(key)
            classes.update(str(shape.get("label")) for shape in content["shapes"] if isinstance(shape, dict))
        elif isinstance(content, list) and content and isinstance(content[0], dict) and "annotations" in content[0]:
            notes = ["tasks without annotation count as not annotated (--missing)"]
            yield Found("labelstudio", f"{key}, {len(content):,} tasks", [folder.path, folder.below(key)], notes=notes)
    if shapes:
        what = f"{len(shapes):,} JSON files of LabelMe"
        yield Found(
            "labelme",
            what,
            [folder.path, folder.below(_common(sorted(shapes)))],
            _stems(sorted(shapes)),
            classes,
            _unreadable(kinds),
        )


def _coco(content: Mapping[str, Any], folder: _Folder, key: str) -> Found:
    def of(name: str) -> list[dict[str, Any]]:
        return [one for one in content[name] if isinstance(one, dict)] if isinstance(content[name], list) else []

    names = {image_name(str(image.get("file_name", ""))) for image in of("images")}
    labels = {str(one.get("id")): str(one.get("name")) for one in of("categories")}
    classes = Counter(labels.get(str(one.get("category_id")), "?") for one in of("annotations"))
    return Found("coco", f"{key}, {len(names):,} images", [folder.path, folder.below(key)], names, classes)


def _yolo(folder: _Folder) -> Iterator[Found]:
    files = [key for key in folder.of_suffix(".txt") if PurePosixPath(key).name not in _CLASS_FILES]
    numbers: Counter[str] = Counter()
    labels: list[str] = []
    for key in files:
        before, text = numbers.total(), folder.storage.read(key).decode("utf-8", "replace")
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 5 and words[0].isdigit() and all(word.replace(".", "", 1).isdigit() for word in words[1:]):
                numbers[words[0]] += 1
        if numbers.total() > before or not text.strip():
            labels.append(key)
    if numbers:
        named = next((key for name in _CLASS_FILES for key in folder.keys if PurePosixPath(key).name == name), None)
        notes = (
            [] if named else [f"no {' or '.join(_CLASS_FILES)}: name the classes {first_ten(sorted(numbers))} yourself"]
        )
        classes = folder.below(named) if named else ",".join(f"{number}=NAME" for number in sorted(numbers))
        arguments = [folder.path, folder.below(_common(labels)), "--classes", classes]
        yield Found("yolo", f"{len(labels):,} text files of YOLO", arguments, _stems(labels), notes=notes)


def _severstal(folder: _Folder) -> Iterator[Found]:
    for key in folder.of_suffix(".csv"):
        try:
            table = read_csv(folder.storage.location(key), ("EncodedPixels",), known=("ImageId", "ImageId_ClassId"))
        except UsageError:
            continue
        if "ImageId" in table or "ImageId_ClassId" in table:
            names = table["ImageId"] if "ImageId" in table else table["ImageId_ClassId"].str.rpartition("_")[0]
            what = f"{key}, {len(table):,} rows"
            yield Found("severstal", what, [folder.path, folder.below(key)], set(map(image_name, names)))


def _masks(folder: _Folder) -> Iterator[Found]:
    stems = folder.stems
    if any("ground_truth" in PurePosixPath(stem).parts for stem in stems):
        return
    if suffix := likely_suffix(stems, stems):
        masks = sum(stem.endswith(suffix) for stem in stems)
        what = f"{masks:,} of {len(stems):,} images are named NAME{suffix}"
        yield Found("masks", what, [folder.path, folder.path, "--mask-suffix", suffix])
    folders = Counter(part for stem in stems for part in PurePosixPath(stem).parent.parts)
    for name in sorted(folders):
        if name.lower() not in _MASK_FOLDERS:
            continue
        masks_of = [stem for stem in stems if name in PurePosixPath(stem).parts]
        for other in sorted(set(folders) - {name}):
            swapped = {stem.replace(name, other, 1) for stem in masks_of}
            if both := len(swapped & set(stems)):
                arguments = [folder.path, folder.path, "--mask-folder", f"{other}={name}"]
                yield Found("masks", f"{both:,} images in '{other}' have a mask in '{name}'", arguments)


def _folders(folder: _Folder) -> Iterator[Found]:
    classes = Counter(PurePosixPath(image).parent.name for image in folder.images)
    annotated = {PurePosixPath(key).suffix.lower() for key in folder.keys} & {".xml", ".json", ".txt", ".csv"}
    stems = folder.stems
    masked = {part.lower() for stem in stems for part in PurePosixPath(stem).parts} & _MASK_FOLDERS or likely_suffix(
        stems, stems
    )
    if len(classes) > 1 and not annotated and not masked:
        notes = ["only if a folder's name is the label of its images; each image becomes one patch"]
        yield Found("folders", f"images in {len(classes):,} folders", [folder.path], None, classes, notes)


_LOOKS: tuple[Look, ...] = (_mvtec, _xml, _json, _yolo, _severstal, _masks, _folders)


def _stems(keys: list[str]) -> set[str]:
    return {composed(str(PurePosixPath(key).with_suffix(""))) for key in keys}


def _common(keys: list[str]) -> str:
    """Return the innermost folder that holds all files."""
    parts = [PurePosixPath(key).parent.parts for key in keys]
    shared = [names[0] for names in zip(*parts, strict=False) if len(set(names)) == 1]
    depth = next((at for at, names in enumerate(zip(*parts, strict=False)) if len(set(names)) > 1), len(shared))
    return "/".join(shared[:depth])


def _unreadable(kinds: Counter[str]) -> list[str]:
    return [f"{kinds['unreadable']:,} files cannot be read"] if kinds["unreadable"] else []

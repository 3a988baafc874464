"""The commands `sample`, `split`, `pack` and `ingest {masks,severstal,voc,groups}`: arguments, progress, and what is said in the end."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from steel_training.data.dataset import OutputExists
from steel_training.errors import UsageError
from steel_training.ingest.masks import ingest_masks
from steel_training.ingest.overlap_groups import join_photographs
from steel_training.ingest.packing import PATCHES_A_FILE, pack
from steel_training.ingest.regrouping import regroup
from steel_training.ingest.severstal import SEVERSTAL_RULE, ingest_severstal
from steel_training.ingest.synthetic import make_sample
from steel_training.ingest.tiling import CutRule, IngestSummary, Progress
from steel_training.ingest.voc import VOC_RULE, ingest_voc

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LINE_EVERY_SECONDS = 5.0


def add_commands(subparsers: Subparsers) -> None:
    """Registers the commands; each sets `func`, which takes the parsed arguments and returns the exit code."""
    _add_sample(subparsers)
    _add_split(subparsers)
    _add_pack(subparsers)
    ingest = subparsers.add_parser("ingest", help="bring photographs into the form that a run takes")
    kinds = ingest.add_subparsers(dest="kind", required=True, metavar="{masks,severstal,voc,groups}")
    _add_masks(kinds)
    _add_groups(kinds)
    _add_severstal(kinds)
    _add_voc(kinds)


def _add_sample(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("sample", help="make a dataset of procedural steel strips, to try the system with")
    parser.add_argument("out", metavar="OUT", help="folder or s3://bucket/prefix of the new dataset; must be empty")
    parser.add_argument("--coils", type=int, default=24, help="coils, which are the groups of the split (24)")
    parser.add_argument("--photographs-per-coil", type=int, default=4, help="photographs of each coil (4)")
    parser.add_argument("--patch", type=int, default=64, help="side of a patch in pixels (64)")
    parser.add_argument("--seed", type=int, default=20, help="the same seed makes the same bytes (20)")
    parser.set_defaults(func=_sample)


def _add_split(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("split", help="copy a dataset with corrected groups and parts")
    parser.add_argument("dataset", metavar="DATASET", help="folder or s3:// prefix; of dated versions the newest")
    parser.add_argument("out", metavar="OUT", help="folder or s3://bucket/prefix of the copy; must be empty")
    parser.add_argument(
        "--group-by",
        required=True,
        metavar="COLUMN|steel",
        help="what must not straddle the parts: the values of a column, or what shows one piece of steel",
    )
    parser.add_argument(
        "--seed", type=int, default=20, help="of the parts; few groups of unlike make-up leave little to choose (20)"
    )
    parser.set_defaults(func=_split)


def _split(arguments: argparse.Namespace) -> int:
    made = regroup(
        arguments.dataset,
        arguments.out,
        group_by=arguments.group_by,
        seed=arguments.seed,
        progress=_progress("split", "patches"),
    )
    parts = ", ".join(f"{size:,} in {part}" for part, size in made.parts.items())
    sys.stderr.write(
        f"{made.dataset}: {made.patches:,} patches, {made.groups_before:,} groups became {made.groups:,}; {parts}\n"
    )
    sys.stdout.write(json.dumps(asdict(made)) + "\n")
    return 0


def _add_pack(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("pack", help="copy a dataset with its patches packed in few ZIP files")
    parser.add_argument("dataset", metavar="DATASET", help="folder or s3:// prefix; of dated versions the newest")
    parser.add_argument("out", metavar="OUT", help="folder or s3://bucket/prefix of the copy; must be empty")
    parser.add_argument(
        "--patches-a-file", type=int, default=PATCHES_A_FILE, help=f"at most ({PATCHES_A_FILE:,})", metavar="N"
    )
    parser.set_defaults(func=_pack)


def _pack(arguments: argparse.Namespace) -> int:
    if arguments.patches_a_file < 1:
        raise UsageError(f"--patches-a-file is {arguments.patches_a_file}; expected at least 1.")
    made = pack(
        arguments.dataset,
        arguments.out,
        patches_a_file=arguments.patches_a_file,
        progress=_progress("pack", "patches"),
    )
    sys.stderr.write(f"{made.dataset}: {made.patches:,} patches in {made.files:,} files\n")
    sys.stdout.write(json.dumps(asdict(made)) + "\n")
    return 0


def _add_masks(kinds: Subparsers) -> None:
    parser = kinds.add_parser("masks", help="photographs with pixel masks of the same name")
    parser.add_argument("images", metavar="IMAGES", help="folder or S3 prefix of photographs")
    parser.add_argument("masks", metavar="MASKS", help="folder or S3 prefix of masks: 0 is clean, else a defect class")
    _add_cutting(parser, CutRule())
    parser.add_argument("--names", default="", help="names of mask values: 1=inclusion,2=patches,3=scratches")
    parser.add_argument("--keep-defective", type=float, default=1.0, help="share of defective patches to keep (1.0)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of defective patches (0)")
    parser.set_defaults(func=_masks)


def _add_severstal(kinds: Subparsers) -> None:
    parser = kinds.add_parser("severstal", help="Kaggle's Severstal format: photographs and run lengths in train.csv")
    parser.add_argument("images", metavar="IMAGES", help="folder or S3 prefix of photographs")
    parser.add_argument("train_csv", metavar="TRAIN_CSV", help="ImageId,ClassId,EncodedPixels")
    _add_cutting(parser, SEVERSTAL_RULE)
    parser.add_argument(
        "--defective-pixels", type=int, default=SEVERSTAL_RULE.defective_pixels, help="or from so many pixels (50)"
    )
    parser.set_defaults(func=_severstal)


def _add_voc(kinds: Subparsers) -> None:
    parser = kinds.add_parser("voc", help="photographs with Pascal VOC boxes, as NEU-DET")
    parser.add_argument("images", metavar="IMAGES", help="folder or S3 prefix of photographs")
    parser.add_argument("annotations", metavar="ANNOTATIONS", help="folder or S3 prefix of XML files")
    _add_cutting(parser, VOC_RULE)
    parser.add_argument("--whole", action="store_true", help="take whole photographs as patches")
    parser.add_argument(
        "--missing", choices=("error", "clean"), default="error", help="what a photograph without XML is (error)"
    )
    parser.set_defaults(func=_voc)


def _add_cutting(parser: argparse.ArgumentParser, rule: CutRule) -> None:
    """Adds OUT and the options that all ingests share."""
    parser.add_argument("out", metavar="OUT", help="folder or s3://bucket/prefix of the new dataset; must be empty")
    parser.add_argument("--patch", type=int, default=rule.patch, help=f"side of a patch in pixels ({rule.patch})")
    step = "the patch's side" if rule.stride == rule.patch else "half the patch's side"
    parser.add_argument("--stride", type=int, help=f"step from patch to patch in pixels ({step})")
    parser.add_argument(
        "--clean-max",
        type=float,
        default=rule.clean_max,
        help=f"a patch is clean up to this share of defect pixels ({rule.clean_max:g})",
    )
    parser.add_argument(
        "--defective-min",
        type=float,
        default=rule.defective_min,
        help=f"and defective from this share ({rule.defective_min:g}); what lies between is dropped",
    )
    groups = parser.add_mutually_exclusive_group()
    groups.add_argument(
        "--group-regex", metavar="REGEX", help="finds the group in a photograph's name, such as '^(coil[0-9]+)_'"
    )
    groups.add_argument("--groups", metavar="CSV", help="source_id,group_id[,line,captured_at,…] of every photograph")
    parser.set_defaults(rule=rule)


def _add_groups(kinds: Subparsers) -> None:
    parser = kinds.add_parser("groups", help="which photographs show the same steel: the table that --groups takes")
    parser.add_argument("images", metavar="IMAGES", help="folder or S3 prefix of photographs")
    parser.add_argument("out", metavar="CSV", help="file to write: source_id,group_id of every photograph")
    parser.add_argument("--patch", type=int, default=64, help="side of the pieces that are compared, pixels (64)")
    parser.set_defaults(func=_groups)


def _groups(arguments: argparse.Namespace) -> int:
    path = Path(arguments.out)
    if path.exists():
        raise OutputExists(f"{path} exists; nothing was written. Name a new file, or remove the old one first.")
    if not 16 <= arguments.patch <= 2048:
        raise UsageError(f"--patch is {arguments.patch} pixels; expected 16 to 2048.")
    table = join_photographs(arguments.images, piece=arguments.patch, progress=_progress("ingest", "photographs"))
    table.to_csv(path, index=False)
    sizes = table["group_id"].value_counts()
    alone = int((sizes == 1).sum())
    sys.stderr.write(
        f"{path}: {len(table):,} photographs in {len(sizes):,} groups; {alone:,} stand alone, the largest group has {int(sizes.max()):,}\n"
    )
    sys.stdout.write(json.dumps({"groups": str(path), "photographs": len(table), "found": len(sizes)}) + "\n")
    return 0


def _sample(arguments: argparse.Namespace) -> int:
    return _tell(
        make_sample(
            arguments.out,
            coils=arguments.coils,
            photographs_per_coil=arguments.photographs_per_coil,
            seed=arguments.seed,
            patch=arguments.patch,
            progress=_progress("sample", "coils"),
        )
    )


def _masks(arguments: argparse.Namespace) -> int:
    return _tell(
        ingest_masks(
            arguments.images,
            arguments.masks,
            arguments.out,
            rule=_rule(arguments),
            names=parse_names(arguments.names),
            keep_defective=arguments.keep_defective,
            seed=arguments.seed,
            group_regex=arguments.group_regex,
            groups=arguments.groups,
            progress=_progress("ingest", "photographs"),
        )
    )


def _severstal(arguments: argparse.Namespace) -> int:
    return _tell(
        ingest_severstal(
            arguments.images,
            arguments.train_csv,
            arguments.out,
            rule=replace(_rule(arguments), defective_pixels=arguments.defective_pixels),
            group_regex=arguments.group_regex,
            groups=arguments.groups,
            progress=_progress("ingest", "photographs"),
        )
    )


def _voc(arguments: argparse.Namespace) -> int:
    return _tell(
        ingest_voc(
            arguments.images,
            arguments.annotations,
            arguments.out,
            rule=_rule(arguments),
            whole=arguments.whole,
            missing=arguments.missing,
            group_regex=arguments.group_regex,
            groups=arguments.groups,
            progress=_progress("ingest", "photographs"),
        )
    )


def parse_names(text: str) -> dict[int, str]:
    """Reads `1=inclusion,2=patches` as names of mask values.

    Raises:
        UsageError: a part is not `number=name`, with a number from 1.
    """
    names = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        number, _, name = (word.strip() for word in part.partition("="))
        if not (number.isascii() and number.isdigit() and int(number) >= 1 and name):
            raise UsageError(f"--names has {part!r}; expected number=name from 1, such as 1=inclusion,2=patches.")
        names[int(number)] = name
    return names


def _rule(arguments: argparse.Namespace) -> CutRule:
    default: CutRule = arguments.rule
    stride = arguments.stride
    if stride is None:
        stride = arguments.patch * default.stride // default.patch
    return replace(
        default,
        patch=arguments.patch,
        stride=stride,
        clean_max=arguments.clean_max,
        defective_min=arguments.defective_min,
    )


def _progress(what: str, unit: str) -> Progress:
    """Returns a callable that shows progress on standard error: one line that moves, or a line now and then in a log."""
    moving = sys.stderr.isatty()
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if moving:
            sys.stderr.write(f"\r{what}  {done}/{total} {unit}" + ("\n" if done == total else ""))
        elif done == total or now - last >= _LINE_EVERY_SECONDS:
            last = now
            sys.stderr.write(f"{what}  {done}/{total} {unit}\n")
        sys.stderr.flush()

    return show


def _tell(summary: IngestSummary) -> int:
    clean = summary.patches - summary.defective
    left_out = [
        f"{count:,} {why}"
        for count, why in (
            (summary.undecided, "undecided (few defect pixels)"),
            (summary.blank, "blank"),
            (summary.thinned, "defective, not kept"),
        )
        if count
    ]
    sys.stderr.write(
        f"{summary.dataset}: {summary.patches:,} patches, {clean:,} clean and {summary.defective:,} defective, "
        f"from {summary.sources:,} photographs in {summary.groups:,} groups"
        f"{'; left out: ' + ', '.join(left_out) if left_out else ''}\n"
    )
    if not clean or not summary.defective:
        sys.stderr.write(f"All patches are {'defective' if not clean else 'clean'}: a run on them will be blocked.\n")
    result = {key: getattr(summary, key) for key in ("dataset", "patches", "defective", "sources", "groups")}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0

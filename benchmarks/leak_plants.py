"""Data without leaks, and kinds of leaks planted into it, for `leak_probes.py`."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import gaussian_filter

from steel_training.data.matching.symmetries import oriented
from steel_training.data.splits import assign_splits
from steel_training.ingest.overlap_groups import group_overlapping_images
from steel_training.ingest.synthetic.sample import photograph_coil
from steel_training.ingest.tiling import CutRule, cut

SIDE = 64


@dataclass(frozen=True)
class Patch:
    """One patch: its pixels, where it was cut from, its file format, and its manifest values."""

    pixels: np.ndarray
    source_image: np.ndarray
    y: int
    x: int
    label: int
    source: str | None
    group: str | None
    split: str = ""
    form: str = "PNG"
    options: tuple[tuple[str, object], ...] = (("compress_level", 1),)
    folder: str = "patches"
    line: str = "one"
    captured_at: str = "2026-01-05T06:00:00"
    modified: float | None = None

    def stored(self) -> bytes:
        """Return the file."""
        data = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(self.pixels)).save(data, self.form, **dict(self.options))
        return data.getvalue()


Data = list[Patch]
Random = np.random.Generator


def drawn(seed: int, coils: int = 16, images: int = 2) -> Data:
    """Draw strips and cut them."""
    found = []
    for number in range(coils):
        for photo in photograph_coil(number, photographs=images, shape=(256, 448), seed=1000 + seed):
            about = {
                "source": photo.name,
                "group": photo.coil,
                "line": photo.line,
                "captured_at": photo.captured_at.isoformat(),
            }
            found += cut_up(photo.pixels, photo.mask, about)
    return divided(_thinned(found, seed), seed)


@dataclass(frozen=True)
class SourceImages:
    """Real source images, their masks, and which of them show the same steel."""

    images: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    groups: dict[str, str]

    @classmethod
    def read(cls, images: Path, masks: Path, groups: Path | None = None) -> SourceImages:
        """Read two folders of files of the same names, and join what shows the same steel: by the table of `ingest groups`, if given."""
        table = group_overlapping_images(str(images)) if groups is None else pd.read_csv(groups, dtype=str)
        pictures = {path.stem: np.asarray(Image.open(path).convert("L")) for path in sorted(images.iterdir())}
        marked = {path.stem: np.asarray(Image.open(path)) for path in masks.iterdir()}
        marked = {name: mask if mask.ndim == 2 else mask[..., 0] for name, mask in marked.items()}
        return cls(pictures, marked, dict(zip(table["source_id"], table["group_id"], strict=True)))

    def sample(self, seed: int, images: int = 160) -> Data:
        """Sample whole groups of source images and cut them into patches."""
        names = defaultdict(list)
        for name, group in self.groups.items():
            names[group].append(name)
        found: Data = []
        taken = 0
        for group in np.random.default_rng(seed).permutation(sorted(names)):
            if taken >= images or len(names[group]) > images // 6:
                continue
            taken += len(names[group])
            for name in names[group]:
                found += cut_up(self.images[name], self.masks[name], {"source": name, "group": group})
        return divided(_thinned(found, seed), seed)


def cut_up(image: np.ndarray, mask: np.ndarray, about: dict[str, str], side: int = SIDE) -> Data:
    """Cut a source image into patches; about: what all of them have in common."""
    return [
        Patch(piece.pixels, image, piece.y, piece.x, piece.label, **about)
        for piece in cut(image, mask, CutRule(patch=side, stride=side))
        if piece.label is not None
    ]


def _thinned(data: Data, seed: int) -> Data:
    """Keep a clean majority: a half of the defective patches where there are more of them."""
    share = float(np.mean([patch.label for patch in data]))
    keep = np.random.default_rng(seed).random(len(data)) < (0.4 if share > 0.4 else 1.0)
    return [patch for patch, kept in zip(data, keep, strict=True) if kept or not patch.label]


def divided(data: Data, seed: int) -> Data:
    """Divides a dataset into train, val and test by group."""
    table = pd.DataFrame(
        {"label": [p.label for p in data], "source_id": [p.source for p in data], "group_id": [p.group for p in data]}
    )
    splits = assign_splits(table, seed=seed, val_share=0.2, test_share=0.2)
    return [replace(patch, split=split) for patch, split in zip(data, splits, strict=True)]


def as_jpeg(pixels: np.ndarray, quality: int = 90) -> np.ndarray:
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data))


def copied(
    again: Callable[[Patch, Random], np.ndarray | None], count: int = 0, **changes: object
) -> Callable[[Data, Random], Data]:
    """Plant copies of training patches in the test split under new ids: 2 % of the dataset and at least 8, or the given number."""

    def plant(data: Data, random: Random) -> Data:
        wanted, copies, places = count or max(8, len(data) // 50), [], set()
        for row in random.permutation(len(data)):
            patch = data[row]
            pixels = again(patch, random) if patch.split == "train" else None
            if pixels is not None and pixels.tobytes() not in places:
                places.add(pixels.tobytes())
                name = f"other{len(copies)}"
                copies.append(replace(patch, pixels=pixels, source=name, group=name, split="test", **changes))
            if len(copies) == wanted:
                break
        return data + copies

    return plant


def cut_again(dy: tuple[int, int], dx: tuple[int, int], then: Callable[[np.ndarray], np.ndarray] = np.asarray):
    """Crop the source image again, shifted by a random number of pixels from a range per direction."""

    def again(patch: Patch, random: Random) -> np.ndarray | None:
        y, x = (
            at + int(random.integers(*reach, endpoint=True)) * int(random.choice((-1, 1)))
            for at, reach in ((patch.y, dy), (patch.x, dx))
        )
        (height, width), side = patch.source_image.shape, len(patch.pixels)
        inside = 0 <= y <= height - side and 0 <= x <= width - side
        return then(patch.source_image[y : y + side, x : x + side]) if inside and (y, x) != (patch.y, patch.x) else None

    return again


def defective(change: Callable[[Patch], Patch]) -> Callable[[Data, Random], Data]:
    """Change every defective patch."""
    return lambda data, _: [change(patch) if patch.label else patch for patch in data]


def exposed(pixels: np.ndarray, random: Random) -> np.ndarray:
    gain, gamma = random.choice((0.75, 1.3)), random.uniform(0.85, 1.2)
    return np.clip(np.rint(255 * (pixels / 255) ** gamma * gain), 0, 255).astype(np.uint8)


def framed(pixels: np.ndarray) -> np.ndarray:
    changed = pixels.copy()
    changed[[0, -1]], changed[:, [0, -1]] = 128, 128
    return changed


def stretched(pixels: np.ndarray) -> np.ndarray:
    low, high = np.percentile(pixels, (1, 99))
    return np.clip((pixels - low) * 255.0 / max(high - low, 1), 0, 255).astype(np.uint8)


def vignetted(pixels: np.ndarray) -> np.ndarray:
    """A lens that leaves the corners a quarter darker."""
    away = np.linspace(-1, 1, SIDE) ** 2
    return np.clip(np.rint(pixels * (1 - 0.125 * np.add.outer(away, away))), 0, 255).astype(np.uint8)


def off_the_grid(patch: Patch) -> Patch:
    """Cut a defect again a few pixels away, as one does who cuts around its middle."""
    y, x = (
        min(at + 3 + at // SIDE % 4, side - SIDE)
        for at, side in zip((patch.y, patch.x), patch.source_image.shape, strict=True)
    )
    return replace(patch, pixels=patch.source_image[y : y + SIDE, x : x + SIDE], y=y, x=x)


def overlapping_by_coordinates(data: Data, random: Random) -> Data:
    """Plant patches that overlap by half, after JPEG, in the test split, with their true source and coordinates."""
    copies = []
    for row in random.permutation(len(data)):
        patch = data[row]
        y, x = patch.y, patch.x + SIDE // 2
        if patch.split == "train" and x + SIDE <= patch.source_image.shape[1]:
            pixels = as_jpeg(patch.source_image[y : y + SIDE, x : x + SIDE])
            copies.append(replace(patch, pixels=pixels, x=x, split="test"))
        if len(copies) == max(8, len(data) // 50):
            break
    return data + copies


def other_camera(pixels: np.ndarray) -> np.ndarray:
    """A softer lens, brighter lighting, darker corners."""
    away = np.linspace(-1, 1, SIDE) ** 2
    light = 1.1 - 0.1 * np.add.outer(away, away)
    return np.clip(np.rint(gaussian_filter(pixels.astype(float), 0.7) * light), 0, 255).astype(np.uint8)


def each_class_from_its_own(data: Data, seed: int) -> Data:
    """Keep clean patches of one half of the source images and defective ones of the other: not a leak, since they are from one camera."""
    sources = sorted({str(patch.source) for patch in data})
    half = set(np.random.default_rng(seed).permutation(sources)[: len(sources) // 2])
    return [patch for patch in data if (patch.source in half) == bool(patch.label)]


def at_random(data: Data, random: Random) -> Data:
    splits = random.choice(("train", "val", "test"), len(data), p=(0.6, 0.2, 0.2))
    return [replace(patch, split=split) for patch, split in zip(data, splits, strict=True)]


def both_labels(data: Data, random: Random) -> Data:
    rows = random.choice(len(data), 8, replace=False)
    return data + [replace(data[row], label=1 - data[row].label) for row in rows]


def pure(change: Callable[[Patch], Patch]) -> Callable[[Data, Random], Data]:
    def plant(data: Data, random: Random) -> Data:
        return defective(change)(each_class_from_its_own(data, int(random.integers(2**31))), random)

    return plant


def each_lit_in_its_own_way(data: Data, random: Random) -> Data:
    """Source images of one class each, every one under lamps of its own: a random split then asks which image a patch is from."""
    gains: defaultdict[str, float] = defaultdict(lambda: float(random.uniform(0.7, 1.2)))
    chosen = each_class_from_its_own(data, int(random.integers(2**31)))
    return [replace(patch, pixels=scaled(patch.pixels, gains[str(patch.source)])) for patch in chosen]


def scaled(pixels: np.ndarray, gain: float) -> np.ndarray:
    return np.clip(np.rint(pixels * gain), 0, 255).astype(np.uint8)


def noisier(data: Data, random: Random) -> Data:
    """Add noise of 2 grey values to every defective patch, as of a camera with another gain."""
    return defective(with_pixels(lambda pixels: shot_again(pixels, random)))(data, random)


def shot_again(pixels: np.ndarray, random: Random) -> np.ndarray:
    """Add the noise of a camera."""
    return np.rint(pixels + random.normal(0, 2, pixels.shape)).clip(0, 255).astype(np.uint8)


def in_colour(patch: Patch) -> Patch:
    return replace(patch, pixels=np.stack([patch.pixels] * 3, axis=-1))


def with_pixels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Patch], Patch]:
    return lambda patch: replace(patch, pixels=change(patch.pixels))


JPEG = {quality: {"form": "JPEG", "options": (("quality", quality),)} for quality in (85, 90, 95)}

PLANTED: dict[str, tuple[Callable[[Data, Random], Data], set[str]]] = {
    "patches split at random": (at_random, {"leak.group"}),
    "5 patches without a source image": (lambda d, _: [replace(p, source=None, group=None) if i < 5 else p for i, p in enumerate(d)], {"leak.group"}),
    "the same image as BMP": (copied(lambda p, _: p.pixels, form="BMP", options=()), {"leak.duplicate"}),
    "the same image, both labels": (both_labels, {"leak.contradiction"}),
    "overlap by half, lossless": (copied(cut_again((0, 0), (32, 32))), {"leak.overlap"}),
    "overlap both ways, odd shifts": (copied(cut_again((9, 31), (9, 31))), {"leak.overlap"}),
    "overlap by half, JPEG 90": (copied(cut_again((0, 0), (32, 32), as_jpeg)), {"leak.overlap"}),
    "overlap by a quarter, JPEG 90": (copied(cut_again((0, 0), (48, 48), as_jpeg)), {"leak.overlap"}),
    "rotated or mirrored": (copied(lambda p, r: oriented(p.pixels, int(r.integers(1, 8)))), {"leak.rotation"}),
    "rotated or mirrored, JPEG 90": (copied(lambda p, r: as_jpeg(oriented(p.pixels, int(r.integers(1, 8))))), {"leak.rotation"}),
    "another exposure": (copied(lambda p, r: exposed(p.pixels, r)), {"leak.near_duplicate"}),
    "another exposure, JPEG 90": (copied(lambda p, r: as_jpeg(exposed(p.pixels, r))), {"leak.near_duplicate"}),
    "1 to 4 pixels away": (copied(cut_again((0, 4), (0, 4))), {"leak.near_duplicate", "leak.overlap"}),
    "shot again (noise of 2 grey values)": (copied(lambda p, r: shot_again(p.pixels, r)), {"leak.near_duplicate"}),
    "defects as TIFF": (defective(lambda p: replace(p, form="TIFF", options=())), {"leak.file_metadata"}),
    "defects packed harder": (defective(lambda p: replace(p, options=(("compress_level", 9),))), {"leak.file_metadata"}),
    "defects as JPEG 95, clean as 85": (lambda d, _: [replace(p, **JPEG[95 if p.label else 85]) for p in d], {"leak.file_metadata"}),
    "defects with a comment of 200 bytes": (
        lambda d, _: [replace(p, form="JPEG", options=(("quality", 90), ("comment", b"x" * 200 * p.label))) for p in d],
        {"leak.file_metadata"},
    ),
    "defects in colour mode": (defective(in_colour), {"leak.file_metadata"}),
    "defects written a day later": (defective(lambda p: replace(p, modified=1_767_700_000.0 + p.x)), {"leak.file_modified"}),
    "overlap by half, JPEG 90, with coordinates": (overlapping_by_coordinates, {"leak.coordinates"}),
    "defects cut around their middle": (defective(off_the_grid), {"leak.coordinates"}),
    "defects at the upper edge of the image": (
        lambda d, _: [replace(p, y=0 if p.label else max(p.y, SIDE)) for p in d],
        {"leak.coordinates"},
    ),
    "defects named so": (defective(lambda p: replace(p, folder="defective")), {"leak.name"}),
    "a line for each class": (pure(lambda p: replace(p, line="two")), {"leak.manifest_column"}),
    "a day for each class": (pure(lambda p: replace(p, captured_at="2026-03-07T06:00:00")), {"leak.manifest_column"}),
    "defects with a frame of 1 pixel": (defective(with_pixels(framed)), {"leak.pixel_property"}),
    "defects softened (σ 1)": (defective(with_pixels(lambda p: gaussian_filter(p, 1.0))), {"leak.pixel_property"}),
    "defects stretched to full range": (defective(with_pixels(stretched)), {"leak.pixel_property"}),
    "defects with dark corners": (defective(with_pixels(vignetted)), {"leak.pixel_property"}),
    "defects with noise of 2 grey values": (noisier, {"leak.pixel_property"}),
    "a camera for each class": (pure(with_pixels(other_camera)), {"leak.two_cameras", "leak.pixel_property"}),
    "the test split from another camera": (
        lambda d, _: [replace(p, pixels=other_camera(p.pixels)) if p.split == "test" else p for p in d],
        {"leak.parts_differ"},
    ),
    "lamps of its own for each source image": (each_lit_in_its_own_way, {"leak.group_effect"}),
}  # fmt: skip

HONEST: dict[str, Callable[[Data, int], Data]] = {
    "as it is": lambda data, _: data,
    "all as JPEG 90": lambda data, _: [replace(patch, **JPEG[90]) for patch in data],
    "each source image of one class": each_class_from_its_own,
}

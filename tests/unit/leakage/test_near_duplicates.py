"""The same steel in two splits is found however it was cut, oriented, exposed or stored; different steel never is."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from steel_training.data.matching.same_surface import SCORE, same_surface_groups, same_surface_pairs
from steel_training.data.matching.symmetries import oriented
from steel_training.leakage.near_duplicates import same_surface


def as_jpeg(image: np.ndarray, quality: int = 90) -> np.ndarray:
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data))


def exposed(image: np.ndarray, gain: float = 1.25, gamma: float = 1.0) -> np.ndarray:
    return np.clip(np.rint(255 * (image / 255) ** gamma * gain), 0, 255).astype(np.uint8)


def noisy(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image + np.random.default_rng(4).normal(0, 2, image.shape)), 0, 255).astype(np.uint8)


# The steel of the fixture ends at x = 320; the first patch of every strip lies at (0, 0).
AGAIN: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "half a patch to the right": (lambda s: s[:64, 32:96], "leak.overlap"),
    "half a patch both ways": (lambda s: s[32:96, 32:96], "leak.overlap"),
    "by odd pixels": (lambda s: s[23:87, 17:81], "leak.overlap"),
    "a sliver of 12 pixels": (lambda s: s[:64, 308:372], "leak.overlap"),
    "half a patch, JPEG": (lambda s: as_jpeg(s[:64, 32:96]), "leak.overlap"),
    "JPEG": (lambda s: as_jpeg(s[:64, :64]), "leak.near_duplicate"),
    "three pixels away": (lambda s: s[3:67, 2:66], "leak.near_duplicate"),
    "brighter": (lambda s: exposed(s[:64, :64]), "leak.near_duplicate"),
    "darker, another gamma": (lambda s: exposed(s[:64, :64], 0.8, 1.15), "leak.near_duplicate"),
    "another shot": (lambda s: noisy(s[:64, :64]), "leak.near_duplicate"),
    "turned and brighter, JPEG": (lambda s: as_jpeg(exposed(np.rot90(s[:64, :64]))), "leak.rotation"),
    **{
        f"turn {orientation}": (lambda s, orientation=orientation: oriented(s[:64, :64], orientation), "leak.rotation")
        for orientation in range(1, 8)
    },
}


@pytest.mark.parametrize("how", AGAIN)
def test_same_steel_in_another_split_is_named(how: str, steel, strips) -> None:
    again, code = AGAIN[how]
    for number in (0, 4, 8):
        leaky = steel.with_patch(again(strips[number]), part=("val", "test", "train")[number % 3])
        probes = {probe.code: probe for probe in same_surface(leaky.profile, leaky.anchors, leaky.pixels)}
        assert not probes[code].passed, (how, number)
        assert probes[code].blocks
        patches = {(pair["first"], pair["second"]) for pair in probes[code].evidence["pairs"]}
        copied = {second for _, second in patches}
        assert copied == {"p135"}
        assert all(leaky.profile.set_index("patch_id")["group"][first] == f"coil{number}" for first, _ in patches)


def test_soft_steel_turned_by_a_right_angle_is_named(steel) -> None:
    """Noise has drowned the fine grain; what is coarser agrees, and nothing that repeats honestly is turned so."""
    random = np.random.default_rng(0)
    ground = gaussian_filter(random.normal(0, 1, (64, 64)), 2.5)
    ground *= 6 / ground.std()
    first, second = (np.rint(120 + ground + random.normal(0, 2, ground.shape)).astype(np.uint8) for _ in range(2))
    shot_twice = steel.with_patch(first, part="train").with_patch(np.rot90(second), part="test")
    probes = {probe.code: probe for probe in same_surface(shot_twice.profile, shot_twice.anchors, shot_twice.pixels)}
    assert [(pair["first"], pair["second"]) for pair in probes["leak.rotation"].evidence["pairs"]] == [("p135", "p136")]


def test_same_steel_in_one_split_is_no_leak(steel, strips) -> None:
    beside = steel.with_patch(strips[0][:64, 32:96], part="train")
    assert all(probe.passed for probe in same_surface(beside.profile, beside.anchors, beside.pixels))


def test_different_steel_never_matches(steel) -> None:
    assert [probe.passed for probe in same_surface(steel.profile, steel.anchors, steel.pixels)] == [True] * 3


@pytest.mark.parametrize("spread", [0.0, 0.6, 1.5, 4.0])
def test_smooth_steel_does_not_match_by_chance(spread: float, make_steel) -> None:
    random = np.random.default_rng(8)
    lighting = np.add.outer(np.linspace(0, 30, 64), np.linspace(0, 10, 64))
    images = [np.rint(120 + lighting + random.normal(0, spread, (64, 64))).astype(np.uint8) for _ in range(150)]
    smooth = make_steel(images, [f"coil{number // 5}" for number in range(150)])
    assert [probe.passed for probe in same_surface(smooth.profile, smooth.anchors, smooth.pixels)] == [True] * 3


@pytest.mark.parametrize("coils", [10, 16])
def test_aligned_scratches_are_not_the_same_steel(coils: int, make_steel) -> None:
    """Long thin defects are alike on any coil, slanted one way or, mirrored, the other."""
    random = np.random.default_rng(coils)
    y, x = np.mgrid[:64, :64]
    images = []
    for number in range(4 * coils):
        lean, at = random.uniform(0.05, 0.3) * random.choice([-1, 1]), random.uniform(10, 54)
        ground = gaussian_filter(random.normal(0, 6, (64, 64)), 1.0) + 70
        line = random.uniform(60, 140) * np.exp(-(((x - at - lean * (y - 32)) / 1.4) ** 2))
        images.append(np.rint(ground + line * (0.6 + 0.4 * np.sin(y / 20 + number))).clip(0, 255).astype(np.uint8))
    scratched = make_steel(images, [f"coil{number // 4}" for number in range(4 * coils)])
    assert [probe.passed for probe in same_surface(scratched.profile, scratched.anchors, scratched.pixels)] == [
        True
    ] * 3
    owner = np.arange(4 * coils)
    assert (same_surface_groups(scratched.anchors, owner, scratched.pixels) == owner).all()


def ribs(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Relief of chequered plate: bright on one side of each rib, dark on the other."""
    across = [(x + lean * y) % 44 - 22 for lean in (0.6, -0.6)]
    return sum(30 * each * np.exp(-((each / 3.0) ** 2)) for each in across)


def letters(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Dark strokes of paint, the same words again and again."""
    strokes = np.random.default_rng(5).random((8, 12)) < 0.45
    row, column = y // 3 % 14, x // 3 % 12
    return -60.0 * ((row < 8) & strokes[np.minimum(row, 7), column])


def ruler(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A scale laid into the upper third of every image."""
    ticks = (y % 64 < np.where(x % 35 < 2, 14, 8)) & (x % 7 < 2)
    return np.where(y % 64 < 24, np.where(ticks, -500.0, 500.0), 0.0)


def texture(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A relief without a plain place, pressed in again at every turn of the roll."""
    roll = gaussian_filter(np.random.default_rng(6).normal(0, 1, (150, 150)), 1.8, mode="wrap")
    return 22 * (roll / roll.std())[y % 150, x % 150]


def plates(pattern: Callable[[np.ndarray, np.ndarray], np.ndarray], shifted: bool) -> list[np.ndarray]:
    """Draw the steel of six plates with one pattern, at another place on each, or the same."""
    y, x = np.mgrid[:64, :128]
    images = []
    for number in range(6):
        random = np.random.default_rng(number)
        ground = 110 + 5 * gaussian_filter(random.normal(0, 1, y.shape), 0.8) / 0.35
        at = random.integers(0, 40, 2) if shifted else (0, 0)
        images.append(np.rint(ground + pattern(y + at[0], x + at[1])).clip(10, 240).astype(np.uint8))
    return images


@pytest.mark.parametrize(("pattern", "shifted"), [(ribs, True), (letters, True), (ruler, False), (texture, True)])
def test_what_repeats_on_every_plate_is_no_leak(pattern, shifted: bool, make_steel) -> None:
    """Honest datasets with a relief, a print or a ruler in every image pass, and copies on such steel are found."""
    whole = plates(pattern, shifted)
    images = [image[:, x : x + 64] for image in whole for x in (0, 64)]
    honest = make_steel(images, [f"plate{number // 2}" for number in range(len(images))])
    assert [probe.passed for probe in same_surface(honest.profile, honest.anchors, honest.pixels)] == [True] * 3
    assert len(set(same_surface_groups(honest.anchors, np.repeat(np.arange(6), 2), honest.pixels))) == 6

    copies = {"leak.rotation": np.rot90(images[0]), "leak.overlap": whole[0][:, 32:96]}
    for code, copy in copies.items():
        leaky = honest.with_patch(as_jpeg(copy), part="test")
        probes = {probe.code: probe for probe in same_surface(leaky.profile, leaky.anchors, leaky.pixels)}
        assert not probes[code].passed
        assert {pair["second"] for pair in probes[code].evidence["pairs"]} == {f"p{len(images)}"}


def machine(pitch: float, link: float) -> np.ndarray:
    """Rollers and a chain, which fill a patch, float (64, 64)."""
    y, x = np.mgrid[:64, :64]
    chain = 30 + 90 * (np.hypot((x / link) % 1 - 0.5, (y - 32) / link) < 0.35)
    return gaussian_filter(np.where(np.abs(y - 32) < link, chain, 60 + 50 * np.cos(2 * np.pi * x / pitch) ** 3), 0.8)


def test_machine_that_stands_still_is_no_leak(make_steel) -> None:
    """It is photographed at the same place every time, by a camera with noise of its own."""
    random = np.random.default_rng(3)
    images = [np.rint(machine(60, 14) + random.normal(0, 2, (64, 64))).astype(np.uint8) for _ in range(12)]
    shots = make_steel(images, [f"photograph{number}" for number in range(12)])
    assert [probe.passed for probe in same_surface(shots.profile, shots.anchors, shots.pixels)] == [True] * 3
    assert len(set(same_surface_groups(shots.anchors, np.arange(12), shots.pixels))) == 12


@pytest.mark.parametrize("seed", [1, 2])
def test_what_agrees_in_every_image_is_no_copy_of_any(seed: int, make_steel) -> None:
    """Some photographs of this machine agree as well as copies do, the others nearly; a copy of one of them agrees better, and is found."""
    random = np.random.default_rng(seed)
    shots = [
        np.rint((machine(35.5, 13.5) + random.normal(0, 2.5, (64, 64))) * random.uniform(0.85, 1.1)).clip(0, 255)
        for _ in range(24)
    ]
    photographs = [f"photograph{number}" for number in range(len(shots))]
    honest = make_steel([shot.astype(np.uint8) for shot in shots], photographs)
    assert [probe.passed for probe in same_surface(honest.profile, honest.anchors, honest.pixels)] == [True] * 3

    leaky = honest.with_patch(as_jpeg(exposed(honest.images[0])), part="test")
    found = {probe.code: probe for probe in same_surface(leaky.profile, leaky.anchors, leaky.pixels)}
    pairs = found["leak.near_duplicate"].evidence["pairs"]
    assert [(pair["first"], pair["second"]) for pair in pairs] == [("p0", "p24")]


def test_streaks_of_one_coil_do_not_match(make_steel) -> None:
    """Streaks along the strip are the same in every image of a coil, and of a camera with a dirty lens."""
    random = np.random.default_rng(9)
    streaks = 15 * random.standard_normal(64)
    images = [np.rint(120 + streaks + random.normal(0, 2, (64, 64))).astype(np.uint8) for _ in range(150)]
    coil = make_steel(images, [f"photograph{number // 5}" for number in range(150)])
    assert [probe.passed for probe in same_surface(coil.profile, coil.anchors, coil.pixels)] == [True] * 3


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 200), (15, 15), (16, 16), (64, 17)], ids=lambda shape: f"{shape[0]}×{shape[1]}"
)
def test_tiny_and_odd_images_are_judged(shape: tuple[int, int], make_steel) -> None:
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, shape, dtype=np.uint8) for _ in range(12)]
    tiny = make_steel(images, [f"coil{number}" for number in range(12)])
    assert [probe.passed for probe in same_surface(tiny.profile, tiny.anchors, tiny.pixels)] == [True] * 3


def test_unread_files_and_empty_tables_are_judged(steel) -> None:
    unread = [None] * len(steel.images)
    assert all(probe.passed for probe in same_surface(steel.profile, unread, steel.pixels))
    assert all(probe.passed for probe in same_surface(steel.profile.iloc[:0], [], steel.pixels))


def test_registration_of_a_pair_gives_its_shift(steel, strips) -> None:
    leaky = steel.with_patch(strips[0][10:74, 6:70], part="test")
    part = (leaky.profile["part"] == "test").to_numpy(int)
    found = [pair for pair in same_surface_pairs(leaky.anchors, part, leaky.pixels) if pair.first == 0]
    assert found
    assert found[0].registration.shift == (-10, -6)
    assert found[0].registration.exact == 1.0
    assert found[0].registration.score > SCORE

"""Packs the weights of `train_backbone.py` into the file that the package ships: float16, with its checksum.

    python pretraining/pack_backbone.py OUT/backbone.weights.h5

Writes steel_training/pretrained/efficientnetb0_steel.weights.h5 and its SHA-256 beside it.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import h5py
import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "steel_training" / "pretrained" / "efficientnetb0_steel.weights.h5"


def halve(source: h5py.Group, target: h5py.Group) -> None:
    """Copy groups and attributes; floating-point data becomes float16, compressed."""
    target.attrs.update(source.attrs)
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            halve(item, target.create_group(name))
            continue
        values = item[()]
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            half = values.astype(np.float16)
            lost = np.abs(half.astype(np.float64) - values).max(initial=0.0) / max(
                np.abs(values).max(initial=0.0), 1e-12
            )
            if not lost < 1e-3:
                sys.exit(f"{item.name} does not fit into float16: {lost:.2%} of the range lost")
            packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True} if half.ndim else {}
            target.create_dataset(name, data=half, **packed)
        else:
            source.copy(item, target, name)


def main() -> int:
    """Pack the file named on the command line."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    TARGET.parent.mkdir(exist_ok=True)
    with h5py.File(sys.argv[1]) as source, h5py.File(TARGET, "w", libver="latest") as target:
        halve(source, target)
    digest = hashlib.sha256(TARGET.read_bytes()).hexdigest()
    TARGET.with_suffix(".sha256").write_text(f"{digest}  {TARGET.name}\n", encoding="ascii")
    print(f"{TARGET}: {TARGET.stat().st_size / 1e6:.2f} MB, SHA-256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

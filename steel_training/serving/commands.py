"""The commands `predict`, `serve` and `models deploy`: options and output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from steel_training.errors import UsageError
from steel_training.registry.commands import DEFAULT_NAME, Name, Store, models, registry_at

serving = typer.Typer(rich_markup_mode=None)


def _polling_interval(seconds: float | None) -> float | None:
    # Not typer's own range check, which accepts nan.
    if seconds is not None and not 0.1 <= seconds <= 86_400:
        raise typer.BadParameter(f"{seconds:g} is not between 0.1 and 86400 seconds")
    return seconds


@serving.command()
def predict(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="files to score")],
    store: Store,
    name: Name = DEFAULT_NAME,
    version: Annotated[str | None, typer.Option(help="score with this version instead of the champion")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object per image")] = False,
    overlay: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="write each image with a box around its defective patches")
    ] = None,
    grey_range: Annotated[
        str | None,
        typer.Option(
            metavar="LOW:HIGH",
            help="grey values that become 0 and 255, for images of 12 or 16 bits and a version without such a range",
        ),
    ] = None,
) -> int:
    """Score images with the champion. Images larger than a patch are cut into patches."""
    registry = registry_at(store, name)  # before TensorFlow is loaded, which takes seconds
    from steel_training.data.grey_range import GreyRange

    stated = None if grey_range is None else GreyRange.parse(grey_range)
    from steel_training.serving.prediction import predict

    rows = predict(registry, images, version=version, overlays=Path(overlay) if overlay else None, grey_range=stated)
    if as_json:
        sys.stdout.writelines(f"{json.dumps(row)}\n" for row in rows)
        return 0
    width = max(len(row["image"]) for row in rows)
    threshold, judge = rows[0]["threshold"], rows[0]["version"]
    sys.stdout.write(f"{'image':<{width}}  score   verdict    (threshold {threshold:.4f}, version {judge})\n")
    for row in rows:
        sys.stdout.write(f"{row['image']:<{width}}  {row['score']:.4f}  {'DEFECTIVE' if row['label'] else 'clean'}")
        if "cut" in row:
            sys.stdout.write(f"  {len(row['patches'])} of {row['cut']} patches")
            sys.stdout.write(f", {row['blank']} blank" if row["blank"] else "")
        sys.stdout.write("\n")
        for patch in row.get("patches", ()):
            sys.stdout.write(
                f"{'':<{width}}  {patch['score']:.4f}  x={patch['x']} y={patch['y']} {patch['width']}×{patch['height']}\n"
            )
    return 0


@serving.command()
def serve(
    store: Store,
    name: Name = DEFAULT_NAME,
    host: Annotated[str, typer.Option(help="address to listen on; 127.0.0.1: this machine only")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 8080,
    every: Annotated[
        float,
        typer.Option(metavar="SECONDS", callback=_polling_interval, help="polling interval for a new champion"),
    ] = 3.0,
) -> int:
    """Serve the champion by the KServe V2 protocol, for testing.

    There is no login: anybody who can reach the port can use it, so leave it on 127.0.0.1. For production see docs/serving.md.
    """
    registry = registry_at(store, name)
    if not 0 <= port <= 65_535:
        raise UsageError(f"--port {port} is not a valid port; expected 1 to 65535.")
    from steel_training.serving.server import serve

    sys.stderr.write(f"http://{host}:{port}/v2/models/{registry.name}  (Ctrl-C to stop)\n")
    serve(registry, host=host, port=port, every=every)
    return 0


@models.command()
def deploy(
    store: Store,
    to: Annotated[str, typer.Option(metavar="FOLDER", help="base path of the model: FOLDER/1/saved_model.pb, …")],
    name: Name = DEFAULT_NAME,
    watch: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            callback=_polling_interval,
            help="keep running, and poll for a new champion at this interval",
        ),
    ] = None,
) -> int:
    """Copy the champion to the base path of TensorFlow Serving."""
    from steel_training.serving import deployment

    registry, base = registry_at(store, name), Path(to)
    if watch is not None:
        deployment.watch(registry, base, watch)
    deployed = deployment.deploy(registry, base)
    state = "deployed" if deployed.placed else "already deployed"
    sys.stdout.write(f"{base / str(deployed.number)}: version {deployed.version} ({state})\n")
    return 0

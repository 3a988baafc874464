"""The commands `predict`, `serve` and `models deploy`: arguments, and what is said in the end."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from steel_training.errors import UsageError
from steel_training.registry.commands import add_registry_arguments, registry_at

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(subparsers: Subparsers, models: Subparsers) -> None:
    """Registers `predict`, `serve` and `models deploy`.

    Each sets `func`, which takes the parsed arguments and returns the exit code.
    """
    predict = subparsers.add_parser("predict", help="score images with the champion")
    predict.add_argument("images", nargs="+", metavar="IMAGE")
    add_registry_arguments(predict)
    predict.add_argument("--version", help="instead of the champion")
    predict.add_argument("--json", action="store_true", help="one JSON object an image")
    predict.set_defaults(func=_predict)

    told = "answer the open inference protocol (KServe V2) for the champion, to try it out; no login"
    serve = subparsers.add_parser(
        "serve",
        help=told,
        description=f"{told[0].upper()}{told[1:]}. Whoever reaches the port may use it: leave it on 127.0.0.1. For "
        "production see docs/serving.md.",
    )
    add_registry_arguments(serve)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine only)")
    serve.add_argument("--port", type=int, default=8080, help="port to listen on (8080)")
    serve.add_argument(
        "--every", type=_seconds, default=3.0, metavar="SECONDS", help="between two looks for a new champion (3)"
    )
    serve.set_defaults(func=_serve)

    deploy = models.add_parser("deploy", help="place the champion where TensorFlow Serving looks")
    add_registry_arguments(deploy)
    deploy.add_argument(
        "--to", required=True, metavar="FOLDER", help="the model's base path: FOLDER/1/saved_model.pb, …"
    )
    deploy.add_argument("--watch", type=_seconds, metavar="SECONDS", help="stay, and look for a new champion so often")
    deploy.set_defaults(func=_deploy)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.1 and 86400 seconds")
    return seconds


def _predict(arguments: argparse.Namespace) -> int:
    from steel_training.serving.prediction import predict

    rows = predict(registry_at(arguments), arguments.images, version=arguments.version)
    if arguments.json:
        sys.stdout.writelines(f"{json.dumps(row)}\n" for row in rows)
        return 0
    width = max(len(row["image"]) for row in rows)
    threshold, version = rows[0]["threshold"], rows[0]["version"]
    sys.stdout.write(f"{'image':<{width}}  score   verdict    (threshold {threshold:.4f}, version {version})\n")
    for row in rows:
        sys.stdout.write(f"{row['image']:<{width}}  {row['score']:.4f}  {'DEFECTIVE' if row['label'] else 'clean'}\n")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from steel_training.serving.server import serve

    registry = registry_at(arguments)
    if not 0 <= arguments.port <= 65_535:
        raise UsageError(f"--port {arguments.port} is no port; expected 1 to 65535.")
    sys.stderr.write(f"http://{arguments.host}:{arguments.port}/v2/models/{registry.name}  (Ctrl-C ends it)\n")
    serve(registry, host=arguments.host, port=arguments.port, every=arguments.every)
    return 0


def _deploy(arguments: argparse.Namespace) -> int:
    from steel_training.serving.deployment import deploy, watch

    registry, base = registry_at(arguments), Path(arguments.to)
    if arguments.watch is not None:
        watch(registry, base, arguments.watch)
    deployed = deploy(registry, base)
    state = "placed" if deployed.placed else "there already"
    sys.stdout.write(f"{base / str(deployed.number)}: version {deployed.version} ({state})\n")
    return 0

"""The commands `models …`: options and output."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from steel_training.config import Config
from steel_training.environment import variable
from steel_training.registry.errors import PointerDamaged
from steel_training.registry.model_registry import Registry
from steel_training.registry.text import comparison, listing, summary
from steel_training.storage import open_storage

Store = Annotated[str, typer.Option(help="folder or s3:// prefix for runs and models")]
Name = Annotated[str, typer.Option(help="model name in the registry")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="of the model, as `models list` shows it")]

DEFAULT_NAME = Config().model.name

log = logging.getLogger(__name__)

models = typer.Typer(help="Published versions and the champion.", rich_markup_mode=None)


def registry_at(store: str, name: str) -> Registry:
    """Return the registry of a model name in a store.

    Raises:
        ModelNameRefused: `name` is not a valid model name.
    """
    return Registry(open_storage(store), name)


@models.command("list")
def list_verdicts(store: Store, name: Name = DEFAULT_NAME) -> int:
    """List every verdict, newest last, and the champion."""
    registry = registry_at(store, name)
    verdicts = registry.verdicts()
    try:
        champion, problem = registry.champion()[0], None
    except PointerDamaged as error:
        champion, problem = None, str(error)
    _print(
        listing(verdicts.found[::-1], registry.versions(), champion, unreadable=verdicts.unreadable, problem=problem)
    )
    return 0


@models.command()
def show(
    version: Version,
    store: Store,
    name: Name = DEFAULT_NAME,
    as_json: Annotated[bool, typer.Option("--json", help="the whole gate.json")] = False,
) -> int:
    """Show one version: metrics, origin, and the command that reproduces it."""
    registry = registry_at(store, name)
    known = registry.metadata(version)
    try:
        champion = registry.champion()[0]
    except PointerDamaged as error:
        log.warning("%s", error)
        champion = None
    _print(json.dumps(known, indent=2) if as_json else summary(version, known, champion))
    return 0


@models.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="a version")],
    second: Annotated[str, typer.Argument(metavar="B", help="another version")],
    store: Store,
    name: Name = DEFAULT_NAME,
) -> int:
    """Compare two versions, and what each was judged on."""
    registry = registry_at(store, name)
    _print(comparison(first, registry.metadata(first), second, registry.metadata(second)))
    return 0


@models.command()
def promote(version: Version, store: Store, name: Name = DEFAULT_NAME) -> int:
    """Make a version the champion."""
    previous = registry_at(store, name).promote(version)
    _print(f"champion: {version} (before: {previous or 'none'})")
    return 0


@models.command()
def rollback(store: Store, name: Name = DEFAULT_NAME) -> int:
    """Go back to the previous champion; repeat to go further back."""
    left, now = registry_at(store, name).rollback()
    _print(f"champion: {now} (before: {left})")
    return 0


@models.command()
def prune(
    store: Store,
    keep: Annotated[int, typer.Option(metavar="N", help="number of newest versions to keep as well")],
    name: Name = DEFAULT_NAME,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only print what would be removed")] = False,
) -> int:
    """Remove old versions; the champion and the previous one are kept."""
    registry = registry_at(store, name)
    removed = registry.prune(keep, dry_run=dry_run)
    for version in removed:
        _print(f"{'would remove' if dry_run else 'removed'} {version}")
    left = [version for version in registry.versions() if version not in removed]
    _print(f"{len(left)} versions {'would be kept' if dry_run else 'kept'}: {', '.join(left)}")
    return 0


@models.command()
def verify(
    store: Store,
    version: Annotated[str | None, typer.Argument(metavar="VERSION", help="only this one")] = None,
    name: Name = DEFAULT_NAME,
) -> int:
    """Check every checksum of one version, or of all.

    Exits with code 1 if a file is damaged.
    """
    registry = registry_at(store, name)
    wanted = [version] if version is not None else registry.versions()
    damaged = 0
    for each in wanted:
        problems = registry.verify(each)
        damaged += bool(problems)
        _print(f"{each}  {'damaged' if problems else 'all files match their checksums'}")
        for problem in problems:
            _print(f"    {problem}")
    _print(f"{len(wanted)} versions checked, {damaged} damaged")
    return 1 if damaged else 0


@models.command("new-key")
def new_key(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="for the two files; not in the store")],
) -> int:
    """Make a key pair: the private key signs versions, the public key says that they are trusted."""
    from steel_training.registry.signatures import write_key_pair

    private, public, name = write_key_pair(folder)
    _print(f"key {name}")
    _print(f"{variable('signing_key')}={private}   (secret: where publish_model runs, and nowhere else)")
    _print(f"{variable('trusted_keys')}={public}   (wherever versions are loaded or promoted)")
    return 0


@models.command()
def sign(
    store: Store,
    versions: Annotated[
        list[str] | None, typer.Argument(metavar="[VERSION]...", help="all where none is named")
    ] = None,
    name: Name = DEFAULT_NAME,
    vouch: Annotated[
        bool, typer.Option("--vouch", help="sign also what no trusted key has signed: you say where it comes from")
    ] = False,
) -> int:
    """Sign published versions with the site's key, such as those from before it had one, or before a key is replaced."""
    registry = registry_at(store, name)
    for each in versions or registry.versions():
        _print(f"{each}  signed by key {registry.sign(each, vouch=vouch)}")
    return 0


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")

"""The commands `models …`: arguments, and what is said in the end."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from steel_training.registry.model_registry import Registry
from steel_training.registry.text import comparison, listing, summary
from steel_training.storage import open_storage

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(subparsers: Subparsers) -> Subparsers:
    """Registers `models` and its actions; each sets `func`, which takes the parsed arguments and returns the exit code.

    Returns:
        The actions, for others to add theirs.
    """
    models = subparsers.add_parser("models", help="published versions and the champion")
    actions = models.add_subparsers(required=True, metavar="ACTION")

    action = actions.add_parser("list", help="every verdict, newest last, and the champion")
    action.set_defaults(func=_list)

    action = actions.add_parser("show", help="one version: figures, origin, and how to make it again")
    action.add_argument("version")
    action.add_argument("--json", action="store_true", help="the whole gate.json")
    action.set_defaults(func=_show)

    action = actions.add_parser("compare", help="two versions side by side, and what each was judged on")
    action.add_argument("first", metavar="A")
    action.add_argument("second", metavar="B")
    action.set_defaults(func=_compare)

    action = actions.add_parser("promote", help="make a version the champion")
    action.add_argument("version")
    action.set_defaults(func=_promote)

    action = actions.add_parser("rollback", help="go back to the champion before; again: to the one before that")
    action.set_defaults(func=_rollback)

    action = actions.add_parser("prune", help="remove old versions; the champion and the one before it stay")
    action.add_argument("--keep", type=int, required=True, metavar="N", help="newest versions to keep as well")
    action.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    action.set_defaults(func=_prune)

    action = actions.add_parser("verify", help="check every checksum of one version, or of all")
    action.add_argument("version", nargs="?")
    action.set_defaults(func=_verify)

    for parser in actions.choices.values():
        add_registry_arguments(parser)
    return actions


def add_registry_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--store` and `--name`, by which a registry is found."""
    parser.add_argument("--store", required=True, help="folder or s3:// prefix for runs and models")
    parser.add_argument("--name", default="steel-defects", help="model name in the registry (steel-defects)")


def registry_at(arguments: argparse.Namespace) -> Registry:
    """Returns the registry that the arguments name.

    Raises:
        ModelNameRefused: `--name` is no model name.
    """
    return Registry(open_storage(arguments.store), arguments.name)


def _list(arguments: argparse.Namespace) -> int:
    registry = registry_at(arguments)
    _say(listing(registry.decisions(), registry.versions(), registry.champion()[0]))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    registry = registry_at(arguments)
    known = registry.metadata(arguments.version)
    _say(json.dumps(known, indent=2) if arguments.json else summary(arguments.version, known, registry.champion()[0]))
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    registry, a, b = registry_at(arguments), arguments.first, arguments.second
    _say(comparison(a, registry.metadata(a), b, registry.metadata(b)))
    return 0


def _promote(arguments: argparse.Namespace) -> int:
    previous = registry_at(arguments).promote(arguments.version)
    _say(f"champion: {arguments.version} (before: {previous or 'none'})")
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    left, now = registry_at(arguments).rollback()
    _say(f"champion: {now} (before: {left})")
    return 0


def _prune(arguments: argparse.Namespace) -> int:
    registry = registry_at(arguments)
    removed = registry.prune(arguments.keep, dry_run=arguments.dry_run)
    for version in removed:
        _say(f"{'would remove' if arguments.dry_run else 'removed'} {version}")
    left = [version for version in registry.versions() if version not in removed]
    _say(f"{len(left)} versions {'would stay' if arguments.dry_run else 'stay'}: {', '.join(left)}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    registry = registry_at(arguments)
    wanted = [arguments.version] if arguments.version is not None else registry.versions()
    damaged = 0
    for version in wanted:
        problems = registry.verify(version)
        damaged += bool(problems)
        _say(f"{version}  {'damaged' if problems else 'every file is as it was published'}")
        for problem in problems:
            _say(f"    {problem}")
    _say(f"{len(wanted)} versions checked, {damaged} damaged")
    return 1 if damaged else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")

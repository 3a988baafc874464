"""Ed25519 signatures of versions: who holds the site's key has published this version, under this name.

A signature is of the checksums of all files, of the model's name and of the version, so that it cannot be moved to another one. It stands
beside them as `signature.json`, which lists one signature per key: a version can be signed again before a key is replaced.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from steel_training.environment import Environment, variable
from steel_training.errors import UsageError
from steel_training.registry.errors import VersionUntrusted

PRIVATE, PUBLIC = "signing-key.pem", "trusted-key.pem"


class KeyUnusable(UsageError):
    """A configured key is missing, or is not an Ed25519 key."""


def message(name: str, version: str, checksums: bytes) -> bytes:
    """Return what is signed.

    Args:
        name: of the model.
        version: of it.
        checksums: the bytes of `checksums.json`.
    """
    parts = {"model": name, "version": version, "checksums": hashlib.sha256(checksums).hexdigest()}
    return b"steel-training version\n" + json.dumps(parts, sort_keys=True).encode()


def signing_key() -> Ed25519PrivateKey | None:
    """Return the site's private key; `None` where none is configured.

    Raises:
        KeyUnusable: the file is missing or not such a key.
    """
    path = Environment.read().signing_key
    if path is None:
        return None
    wanted = f"{variable('signing_key')} names {path}"
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyUnusable(f"{wanted}, which cannot be read ({error.strerror}).") from None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(f"{wanted}, which is not a private key without a password ({error}).") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{wanted}, which is not an Ed25519 key. Make one: steel-training models new-key FOLDER")
    return key


def the_signing_key() -> Ed25519PrivateKey:
    """Return the site's private key.

    Raises:
        KeyUnusable: none is configured, or it is not one.
    """
    key = signing_key()
    if key is None:
        raise KeyUnusable(
            f"{variable('signing_key')} is not set; expected the file of a private key. Make one: steel-training models new-key FOLDER"
        )
    return key


def trusted_keys() -> dict[str, Ed25519PublicKey]:
    """Return the public keys that the site trusts, by their fingerprint; empty where none are configured.

    Raises:
        KeyUnusable: one of the files is missing or not such a key. Nothing is trusted then: a key that is left out silently
            would make the others decide.
    """
    found = {}
    for path in Environment.read().trusted_keys:
        wanted = f"{variable('trusted_keys')} names {path}"
        try:
            key = serialization.load_pem_public_key(Path(path).read_bytes())
        except OSError as error:
            raise KeyUnusable(f"{wanted}, which cannot be read ({error.strerror}).") from None
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyUnusable(f"{wanted}, which is not a public key ({error}).") from None
        if not isinstance(key, Ed25519PublicKey):
            raise KeyUnusable(f"{wanted}, which is not an Ed25519 key.")
        found[fingerprint(key)] = key
    return found


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the name of a public key: the first 16 digits of the SHA-256 of its 32 bytes."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def signed(key: Ed25519PrivateKey, name: str, version: str, checksums: bytes, known: bytes | None = None) -> bytes:
    """Return the content of `signature.json`: a version's earlier signatures, by other keys, and one by this key."""
    by = fingerprint(key.public_key())
    signatures = {**_by_key(known), by: base64.b64encode(key.sign(message(name, version, checksums))).decode()}
    return json.dumps({"signatures": signatures}, indent=2, sort_keys=True).encode()


def signature_of_new(name: str, version: str, checksums: bytes) -> bytes | None:
    """Return the content of `signature.json` for a version that is about to be published; `None` where the site has no keys.

    Raises:
        KeyUnusable: the site trusts keys, and this machine has none of them: nobody would accept the version.
    """
    key, trusted = signing_key(), trusted_keys()
    if key is None:
        if trusted:
            raise KeyUnusable(
                f"{variable('trusted_keys')} is set, and {variable('signing_key')} is not: version {version} would be refused everywhere, so "
                "it was not published. Set it where publish_model runs."
            )
        return None
    by = fingerprint(key.public_key())
    if trusted and by not in trusted:
        raise KeyUnusable(
            f"{variable('signing_key')} is key {by}, which is not among those trusted ({_shown(trusted)}): version {version} would be refused "
            f"everywhere, so it was not published. Add its public key to {variable('trusted_keys')}."
        )
    return signed(key, name, version, checksums)


def require_trusted(
    keys: Mapping[str, Ed25519PublicKey], name: str, version: str, checksums: bytes, signature: bytes | None
) -> None:
    """Check that one of the keys has signed a version.

    Args:
        keys: those trusted, by their fingerprint.
        name: of the model.
        version: of it.
        checksums: the bytes of `checksums.json`.
        signature: those of `signature.json`; `None` where the version has none.

    Raises:
        VersionUntrusted: none of them has.
    """
    found = _by_key(signature)
    known = [by for by in found if by in keys]
    if any(_is_valid(keys[by], found[by], message(name, version, checksums)) for by in known):
        return
    if known:
        raise VersionUntrusted(
            f"Version {version} of {name} is not what key {_shown(known)} has signed: its files and checksums were changed, or it is another "
            "version under this name. It was not loaded. Use another version, and find out who wrote to the store."
        )
    of_whom = f"only by keys that are not trusted ({_shown(found)})" if found else "not at all"
    raise VersionUntrusted(
        f"Version {version} of {name} is signed {of_whom}; trusted: {_shown(keys)} ({variable('trusted_keys')}). It was not loaded. "
        f"Use another version; or, if you know where it comes from: steel-training models sign {version} --vouch --store STORE"
    )


def _is_valid(key: Ed25519PublicKey, text: str, signed_message: bytes) -> bool:
    try:
        key.verify(base64.b64decode(text, validate=True), signed_message)
    except (InvalidSignature, binascii.Error):
        return False
    return True


def write_key_pair(folder: Path) -> tuple[Path, Path, str]:
    """Make a key pair in a folder, the private key readable by its owner alone.

    Returns:
        The files of private and public key, and the fingerprint.

    Raises:
        KeyUnusable: there is a key in the folder already, or it cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    paths = folder / PRIVATE, folder / PUBLIC
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path.exists():
                raise KeyUnusable(f"{path} exists already, and is not overwritten; name another folder.")
        for path, data, mode in zip(paths, (private, public), (0o600, 0o644), strict=True):
            path.touch(mode=mode, exist_ok=False)
            path.write_bytes(data)
    except OSError as error:
        raise KeyUnusable(f"{folder} cannot be written ({error.strerror}); name another folder.") from None
    return *paths, fingerprint(key.public_key())


def _by_key(signature: bytes | None) -> dict[str, str]:
    """Return the signatures by fingerprint; empty where the file is missing or damaged."""
    try:
        found = json.loads(signature or b"{}")
    except ValueError:
        return {}
    signatures = found.get("signatures") if isinstance(found, dict) else None
    if not isinstance(signatures, dict):
        return {}
    return {by: text for by, text in signatures.items() if isinstance(text, str)}


def _shown(keys: Iterable[str]) -> str:
    return ", ".join(name[:16] for name in sorted(keys)[:5])

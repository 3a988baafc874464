"""Where a site trusts keys, only what one of them has signed is loaded or becomes champion; elsewhere nothing changes."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from steel_training.cli import main
from steel_training.registry import MARKER, Registry, VersionDamaged, VersionUntrusted
from steel_training.registry.signatures import PRIVATE, PUBLIC, KeyUnusable, write_key_pair
from steel_training.storage import open_storage

Use = Callable[..., None]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEEL_TRAINING_SIGNING_KEY", raising=False)
    monkeypatch.delenv("STEEL_TRAINING_TRUSTED_KEYS", raising=False)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with two key pairs, `old` and `new`."""
    for name in ("old", "new"):
        write_key_pair(tmp_path / "keys" / name)
    return tmp_path / "keys"


@pytest.fixture
def use(keys: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Configures this site: use(sign="old", trust=["old", "new"])."""

    def configure(*, sign: str | None = None, trust: list[str] | None = None) -> None:
        monkeypatch.setenv("STEEL_TRAINING_SIGNING_KEY", str(keys / sign / PRIVATE) if sign else "")
        monkeypatch.setenv("STEEL_TRAINING_TRUSTED_KEYS", " ".join(str(keys / name / PUBLIC) for name in trust or ()))

    return configure


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(open_storage(tmp_path / "store"), "steel-defects")


def publish(registry: Registry, version: str, content: str = "weights") -> None:
    made = Path(registry.store.uri).parent / "made" / version
    made.mkdir(parents=True)
    (made / "weights.bin").write_text(content)
    (made / "gate.json").write_text("{}")
    registry.publish(made, version)


def folder_of(registry: Registry, version: str) -> Path:
    return Path(registry.store.uri) / "models" / registry.name / "versions" / version


def replace(registry: Registry, version: str, content: str = "planted") -> None:
    """As one who can write the store: another content, and checksums that fit."""
    folder = folder_of(registry, version)
    (folder / "weights.bin").write_text(content)
    sums = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in json.loads((folder / MARKER).read_text())
    }
    (folder / MARKER).write_text(json.dumps(sums, indent=2))


def refused(registry: Registry, version: str, told: str) -> None:
    """Every way to load a version or to make it champion ends with the same message."""
    with pytest.raises(VersionUntrusted, match=told), registry.bundle(version):
        pass
    assert told in registry.verify(version)[0]
    with pytest.raises(VersionDamaged, match=told):
        registry.promote(version)


def test_signed_version_is_accepted(registry: Registry, use: Use) -> None:
    use(sign="old", trust=["old"])
    publish(registry, "v1")
    assert registry.verify("v1") == []
    registry.promote("v1")
    with registry.bundle() as (version, folder):
        assert (version, (folder / "weights.bin").read_text()) == ("v1", "weights")


def test_replaced_version_with_fitting_checksums_is_refused(registry: Registry, use: Use) -> None:
    use(sign="old", trust=["old"])
    publish(registry, "v1")
    replace(registry, "v1")
    refused(registry, "v1", "has signed: its files and checksums were changed")


def test_replaced_version_is_accepted_without_keys(registry: Registry) -> None:
    """What signatures are for: checksums alone do not find it."""
    publish(registry, "v1")
    replace(registry, "v1")
    assert registry.verify("v1") == []


def test_unsigned_version_is_refused_where_keys_are_trusted(registry: Registry, use: Use) -> None:
    publish(registry, "v1")
    use(trust=["old"])
    refused(registry, "v1", "Version v1 of steel-defects is signed not at all")
    (folder_of(registry, "v1") / "signature.json").write_text("damaged")
    refused(registry, "v1", "is signed not at all")


def test_signature_of_another_key_is_refused(registry: Registry, use: Use) -> None:
    use(sign="new")
    publish(registry, "v1")
    use(trust=["old"])
    refused(registry, "v1", "is signed only by keys that are not trusted")


def test_signed_version_is_not_accepted_under_another_name(registry: Registry, use: Use) -> None:
    """An old model of the site, with its signature, in the place of the champion."""
    use(sign="old", trust=["old"])
    publish(registry, "v1", "an old model")
    publish(registry, "v2")
    for name in ("weights.bin", MARKER, "signature.json"):
        (folder_of(registry, "v2") / name).write_bytes((folder_of(registry, "v1") / name).read_bytes())
    refused(registry, "v2", "or it is another version under this name")


def test_rollback_does_not_go_back_to_a_replaced_version(registry: Registry, use: Use) -> None:
    use(sign="old", trust=["old"])
    for version in ("v1", "v2"):
        publish(registry, version)
        registry.promote(version)
    replace(registry, "v1")
    with pytest.raises(VersionDamaged, match="Version v1 cannot become champion: .* has signed"):
        registry.rollback()
    assert registry.champion()[0] == "v2"


def test_versions_from_before_stay_usable_without_trusted_keys(registry: Registry, use: Use) -> None:
    publish(registry, "v1")
    use(sign="old")
    publish(registry, "v2")
    for version in ("v1", "v2"):
        assert registry.verify(version) == []
        registry.promote(version)


def test_publishing_the_same_bundle_again_is_allowed(registry: Registry, use: Use) -> None:
    use(sign="old", trust=["old"])
    publish(registry, "v1")
    registry.publish(Path(registry.store.uri).parent / "made" / "v1", "v1")
    assert registry.verify("v1") == []


@pytest.mark.parametrize(
    ("sign", "told"), [(None, "STEEL_TRAINING_SIGNING_KEY is not"), ("new", "not among those trusted")]
)
def test_version_that_nobody_would_accept_is_not_published(
    registry: Registry, use: Use, sign: str | None, told: str
) -> None:
    use(sign=sign, trust=["old"])
    with pytest.raises(KeyUnusable, match=told):
        publish(registry, "v1")
    assert not registry.holds("v1")


def test_key_is_replaced_without_a_version_being_refused(registry: Registry, use: Use, capsys) -> None:
    """The steps of docs/deployment.md."""
    store = ["--store", registry.store.uri]
    use(sign="old", trust=["old"])
    publish(registry, "v1")
    use(sign="old", trust=["old", "new"])
    assert registry.verify("v1") == []
    use(sign="new", trust=["old", "new"])
    publish(registry, "v2")
    assert registry.verify("v2") == []
    assert main(["models", "sign", *store]) == 0
    assert "v1  signed by key" in capsys.readouterr().out
    use(sign="new", trust=["new"])
    assert [registry.verify(version) for version in ("v1", "v2")] == [[], []]
    use(sign="old", trust=["old"])
    assert registry.verify("v1") == [], "signed by both"


def test_only_who_vouches_signs_what_nobody_has_signed(registry: Registry, use: Use, capsys) -> None:
    publish(registry, "v1")
    use(sign="old", trust=["old"])
    assert main(["models", "sign", "v1", "--store", registry.store.uri]) == 1
    assert "is signed not at all" in capsys.readouterr().err
    assert main(["models", "sign", "v1", "--vouch", "--store", registry.store.uri]) == 0
    assert registry.verify("v1") == []


def test_damaged_version_is_not_signed(registry: Registry, use: Use) -> None:
    publish(registry, "v1")
    use(sign="old")
    (folder_of(registry, "v1") / "weights.bin").write_text("torn")
    with pytest.raises(VersionDamaged, match="weights.bin of version v1 differs"):
        registry.sign("v1", vouch=True)


def test_command_makes_a_key_pair_once(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "keys"
    assert main(["models", "new-key", str(folder)]) == 0
    told = capsys.readouterr().out
    assert f"STEEL_TRAINING_SIGNING_KEY={folder / PRIVATE}" in told
    assert f"STEEL_TRAINING_TRUSTED_KEYS={folder / PUBLIC}" in told
    assert stat.S_IMODE((folder / PRIVATE).stat().st_mode) == 0o600
    before = (folder / PRIVATE).read_bytes()
    assert main(["models", "new-key", str(folder)]) == 2
    assert "is not overwritten" in capsys.readouterr().err
    assert (folder / PRIVATE).read_bytes() == before


@pytest.mark.parametrize("kind", ["missing", "text", "rsa", "the other half"])
@pytest.mark.parametrize("variable", ["STEEL_TRAINING_SIGNING_KEY", "STEEL_TRAINING_TRUSTED_KEYS"])
def test_unusable_key_stops_everything_that_needs_it(
    registry: Registry, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, variable: str
) -> None:
    """A trusted key that cannot be read is not left out: then none would be trusted, and every version accepted."""
    publish(registry, "v1")
    path, private = tmp_path / "key.pem", variable.endswith("SIGNING_KEY")
    if kind == "text":
        path.write_text("no key")
    elif kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        none = serialization.NoEncryption()
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)
            if private
            else public
        )
    elif kind == "the other half":
        path = keys / "old" / (PUBLIC if private else PRIVATE)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(KeyUnusable, match=f"{variable} names {path}"):
        publish(registry, "v2")
    assert not registry.holds("v2")
    if not private:
        with pytest.raises(KeyUnusable), registry.bundle("v1"):
            pass
        with pytest.raises(KeyUnusable):
            registry.promote("v1")

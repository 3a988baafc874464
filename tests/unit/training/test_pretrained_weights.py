"""Initial weights: each source gives the features that its weights were trained for, or an error with advice."""

import contextlib
import hashlib
import http.server
import logging
import shutil
import socket
import threading
import time

import boto3
import h5py
import numpy as np
import pytest
from moto import mock_aws

from steel_training.training import pretrained_weights as weights_module
from steel_training.training.backbones import SPECS
from steel_training.training.pretrained_weights import load_weights
from steel_training.training.weights_source import WeightsNotFound, WeightsUnusable, check_weights

SPEC = SPECS["EfficientNetB0"]
PIXELS = np.random.default_rng(0).uniform(0, 255, (32, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def backbone():
    return SPEC.build(32)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A local stand-in for the published ImageNet file, in its layout: older HDF5, one Rescaling, one Normalization."""
    import keras
    from keras.src.legacy.saving import legacy_h5_format

    keras.utils.set_random_seed(1)
    network = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(32, 32, 3))
    normalization = next(layer for layer in network.layers if layer.__class__.__name__ == "Normalization")
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    # BatchNorm statistics that belong to these weights and to these pixels, properly scaled: without them a random
    # network fades its features out, or blows rounding errors up.
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    normalization.set_weights([mean, deviation**2, np.array(0)])
    normalization.finalize_state()
    network(PIXELS, training=True)
    normalization.set_weights([mean, deviation, np.array(0)])
    path = tmp_path_factory.mktemp("server") / "efficientnetb0_notop.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    return path


@contextlib.contextmanager
def served(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def download_from(patch, address, cache, digest=None):
    """Lets Keras download from an address, into an empty cache."""
    from keras.src.applications import efficientnet
    from keras.src.backend import config

    cache.mkdir()
    patch.setattr(config, "_KERAS_DIR", str(cache))
    patch.setattr(efficientnet, "BASE_WEIGHTS_PATH", address)
    patch.setitem(efficientnet.WEIGHTS_HASHES, "b0", (digest, digest))


@pytest.fixture
def downloads_from(monkeypatch, tmp_path):
    return lambda address, digest=None: download_from(monkeypatch, address, tmp_path / "keras", digest)


@pytest.fixture(scope="module")
def keras_imagenet(published, tmp_path_factory):
    """What Keras itself builds for `weights="imagenet"`: with the extra rescaling layer."""
    import keras

    with served(published.parent) as address, pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("cache") / "keras"
        download_from(patch, address, cache, hashlib.md5(published.read_bytes()).hexdigest())
        network = keras.applications.EfficientNetB0(include_top=False, weights="imagenet", input_shape=(32, 32, 3))
        assert sum(layer.__class__.__name__ == "Rescaling" for layer in network.layers) == 2
        assert np.abs(np.asarray(network(PIXELS))).max() > 0.1
        shutil.rmtree(cache)  # what is loaded in the tests is downloaded again
        cache.mkdir()
        yield network


@pytest.fixture
def nothing_listens_here(closed_port):
    return f"http://127.0.0.1:{closed_port}/"


def same_features(backbone, network):
    """Up to rounding, which a random network amplifies a thousandfold; without the folding they differ by their own size."""
    ours, theirs = np.asarray(backbone(PIXELS)), np.asarray(network(PIXELS))
    return np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


@pytest.mark.parametrize("wanted", ["imagenet", "auto"])
def test_imagenet_features_match_keras_own_network(backbone, keras_imagenet, capsys, wanted):
    loaded = load_weights(backbone, SPEC, wanted)
    assert (loaded.source, loaded.random) == ("imagenet", False)
    assert same_features(backbone, keras_imagenet)
    assert capsys.readouterr().out == "", "standard output is for the caller's JSON"


def test_published_file_gives_the_same_features(backbone, keras_imagenet, published):
    loaded = load_weights(backbone, SPEC, str(published))
    assert (loaded.source, loaded.random) == ("file", False)
    assert "rescaling" in loaded.detail
    assert same_features(backbone, keras_imagenet)


@pytest.mark.parametrize("name", ["own.weights.h5", "own.h5"])
def test_file_saved_from_keras_network_keeps_features(backbone, keras_imagenet, tmp_path, name):
    (keras_imagenet.save if name == "own.h5" else keras_imagenet.save_weights)(tmp_path / name)
    load_weights(backbone, SPEC, str(tmp_path / name))
    assert same_features(backbone, keras_imagenet)


def test_file_without_extra_rescaling_is_loaded_as_is(backbone, published, tmp_path):
    import keras

    network = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(32, 32, 3))
    network.load_weights(published)
    network.save_weights(tmp_path / "plain.weights.h5")
    loaded = load_weights(backbone, SPEC, str(tmp_path / "plain.weights.h5"))
    assert "rescaling" not in loaded.detail
    assert same_features(backbone, network)


def test_folded_weights_survive_saving_and_loading(backbone, keras_imagenet, tmp_path):
    import keras

    load_weights(backbone, SPEC, "imagenet")
    backbone.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert same_features(again, keras_imagenet)


@mock_aws
def test_weights_file_on_s3_is_loaded(backbone, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    backbone.save_weights(tmp_path / "w.weights.h5")
    expected = [array + 1 for array in backbone.get_weights()]
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="mill")
    client.upload_file(str(tmp_path / "w.weights.h5"), "mill", "weights/w.weights.h5")
    backbone.set_weights(expected)
    check_weights("s3://mill/weights/w.weights.h5", "EfficientNetB0")
    loaded = load_weights(backbone, SPEC, "s3://mill/weights/w.weights.h5")
    assert loaded.source == "file"
    assert all(np.allclose(got + 1, want) for got, want in zip(backbone.get_weights(), expected, strict=True))
    with pytest.raises(WeightsNotFound, match=r"s3://mill/weights/other\.weights\.h5"):
        check_weights("s3://mill/weights/other.weights.h5", "EfficientNetB0")


def test_no_weights_are_reported_as_random(backbone):
    before = backbone.get_weights()
    loaded = load_weights(backbone, SPEC, "none")
    assert (loaded.source, loaded.random) == ("none", True)
    assert all(np.array_equal(a, b) for a, b in zip(before, backbone.get_weights(), strict=True))


@pytest.mark.parametrize("wanted", ["missing.weights.h5", "/nowhere/missing.h5"])
def test_missing_weights_file_is_a_usage_error(backbone, wanted):
    for ask in (lambda name: check_weights(name, SPEC.name), lambda name: load_weights(backbone, SPEC, name)):
        with pytest.raises(WeightsNotFound) as caught:
            ask(wanted)
        assert caught.value.exit_code == 2
        assert wanted in str(caught.value)
        assert "model.weights" in str(caught.value)


def test_folder_is_not_a_weights_file(tmp_path):
    with pytest.raises(WeightsNotFound, match="names a folder"):
        check_weights(f"{tmp_path}/", SPEC.name)


@pytest.mark.parametrize("kind", ["other network", "no HDF5", "truncated", "other format"])
def test_unsuitable_file_is_refused_with_the_expectation(backbone, published, tmp_path, kind):
    import keras

    path = tmp_path / "bad.weights.h5"
    if kind == "other network":
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(path)
    elif kind == "no HDF5":
        path.write_bytes(b"no weights")
    elif kind == "truncated":
        path.write_bytes(published.read_bytes()[:5000])
    else:
        path = tmp_path / "bad.npz"
        np.savez(path, a=np.zeros(3))
    with pytest.raises(WeightsUnusable, match=r"(?s)does not fit EfficientNetB0.*include_top=False"):
        load_weights(backbone, SPEC, str(path))


def test_download_without_network_fails_with_advice(backbone, downloads_from, nothing_listens_here, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"it waits {seconds} s for another try"))
    downloads_from(nothing_listens_here)
    with pytest.raises(WeightsUnusable, match=r"model\.weights to a weights file"):
        load_weights(backbone, SPEC, "imagenet")


def test_silent_server_does_not_block_the_run(backbone, downloads_from, monkeypatch):
    """As behind a firewall that drops packets: the connection stands, and nothing comes."""
    monkeypatch.setattr(weights_module, "DOWNLOAD_TIMEOUT_S", 0.5)
    before = socket.getdefaulttimeout()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        downloads_from(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(WeightsUnusable, match="timed out"):
            load_weights(backbone, SPEC, "imagenet")
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()  # it was asked once, not again and again
    assert socket.getdefaulttimeout() == before


def test_auto_without_steel_weights_falls_back_to_random(monkeypatch, tmp_path, caplog, nothing_listens_here):
    from keras.src.applications import resnet
    from keras.src.backend import config

    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(resnet, "BASE_WEIGHTS_PATH", nothing_listens_here)
    spec = SPECS["ResNet50"]
    with caplog.at_level(logging.WARNING):
        loaded = load_weights(spec.build(32), spec, "auto")
    assert (loaded.source, loaded.random) == ("none", True)
    assert "cannot be downloaded" in loaded.detail
    assert "set model.weights to a weights file" in caplog.text
    assert "steel weights are for EfficientNetB0" in caplog.text


def test_damaged_download_is_not_used(backbone, published, downloads_from):
    with served(published.parent) as address:
        downloads_from(address, "0" * 32)
        with pytest.raises(WeightsUnusable, match="corrupt"):
            load_weights(backbone, SPEC, "imagenet")


def test_packaged_steel_weights_are_verified(backbone, monkeypatch, tmp_path):
    loaded = load_weights(backbone, SPEC, "steel")
    assert (loaded.source, loaded.random) == ("steel", False)
    packed = weights_module.PACKAGED[SPEC.name]
    assert packed.stat().st_size <= 9_000_000
    with h5py.File(packed) as file:
        kinds = set()
        file.visititems(lambda _, item: kinds.add(str(item.dtype)) if isinstance(item, h5py.Dataset) else None)
    assert "float16" in kinds
    assert not kinds & {"float32", "float64"}
    assert all(np.all(np.isfinite(weight)) for weight in backbone.get_weights())

    copy = tmp_path / packed.name
    copy.write_bytes(packed.read_bytes()[:-1] + b"\0")
    copy.with_suffix(".sha256").write_text(packed.with_suffix(".sha256").read_text())
    monkeypatch.setitem(weights_module.PACKAGED, SPEC.name, copy)
    with pytest.raises(WeightsUnusable, match="is not the file that was packed"):
        load_weights(backbone, SPEC, "steel")


def test_auto_without_internet_uses_steel_weights(backbone, downloads_from, caplog, nothing_listens_here):
    downloads_from(nothing_listens_here)
    with caplog.at_level(logging.INFO):
        loaded = load_weights(backbone, SPEC, "auto")
    assert (loaded.source, loaded.random) == ("steel", False)
    assert "cannot be downloaded" in caplog.text


def test_missing_steel_weights_for_resnet50_are_explained():
    resnet = SPECS["ResNet50"]
    with pytest.raises(WeightsNotFound, match="no steel weights for ResNet50, only for EfficientNetB0"):
        check_weights("steel", "ResNet50")
    with pytest.raises(WeightsNotFound, match="model.weights"):
        load_weights(resnet.build(32), resnet, "steel")


def test_failed_download_does_not_change_the_initial_head(downloads_from, nothing_listens_here):
    import keras

    from steel_training.config import ModelConfig
    from steel_training.training.model_trainer import TransferLearningModel

    downloads_from(nothing_listens_here)
    heads = []
    for wanted in ("auto", "steel"):
        keras.utils.set_random_seed(20)
        model = TransferLearningModel.build(ModelConfig(weights=wanted), 64)
        assert model.weights.source == "steel"
        heads.append(model.keras_model.get_layer("head").get_weights()[0])
    np.testing.assert_array_equal(*heads)

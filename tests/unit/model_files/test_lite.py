"""A LiteRT file with an operation that is not built in is not loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from steel_training.model_files import objection


def test_own_file_is_accepted(exported: Path) -> None:
    assert objection("model.tflite", (exported / "model.tflite").read_bytes()) is None


def test_operation_of_tensorflow_is_refused_by_name(tmp_path: Path) -> None:
    """The interpreter of TensorFlow would execute it."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])  # type: ignore[untyped-decorator]
    def read(path: tf.Tensor) -> tf.Tensor:
        return tf.io.read_file(path)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([read.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    found = objection("model.tflite", converter.convert())
    assert found is not None
    assert "holds the custom operation FlexReadFile" in found


@pytest.mark.parametrize("cut", [0, 6, 9, 30])
def test_damaged_file_is_refused(exported: Path, cut: int) -> None:
    assert "cannot be read" in str(objection("model.tflite", (exported / "model.tflite").read_bytes()[:cut]))

"""Published models at work: on files, behind the open inference protocol, and as TensorFlow Serving wants them."""

from steel_training.serving.prediction import ImageNotFound, predict

__all__ = ["ImageNotFound", "predict"]

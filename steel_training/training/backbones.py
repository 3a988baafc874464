"""The pretrained backbones: how to build one, and which feature layers the head uses.

The head does not use the top of the network. The last layers of an ImageNet model represent objects; texture, which matters
on steel, is represented better in lower layers, and in the standard deviation of a channel over the patch as well as its
mean. On real steel (64-pixel patches, split by source image, frozen features, logistic regression, validation AUC): mean of
the top .927, of block5c .948, of five depths without the top .960, with it .956; mean and standard deviation of the lowest
three .959.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from steel_training.config import Backbone
from steel_training.errors import UsageError


class UnknownLayer(UsageError):
    """`training.fine_tune.from_layer` names no layer at which this backbone can be cut."""


@dataclass(frozen=True)
class BackboneSpec:
    """One network of keras.applications.

    Attributes:
        name: its name there.
        feature_layers: layers whose mean and standard deviation over the patch are the inputs of the head, lowest first.
        from_layer: default boundary of fine-tuning; layers after it are trained.
        rescales: whether the network itself rescales and normalises pixels 0-255.
    """

    name: Backbone
    feature_layers: tuple[str, ...]
    from_layer: str
    rescales: bool

    def application(self) -> Callable[..., keras.Model]:
        """Return the function of keras.applications that builds the network."""
        application: Callable[..., keras.Model] = getattr(keras.applications, self.name)
        return application

    def build(self, input_size: int) -> keras.Model:
        """Build the network without its top and with random weights, for pixels 0-255, RGB, float32.

        Returns:
            Keras model, (batch, input_size, input_size, 3) → feature map; all layers in one flat graph.
        """
        pixels = keras.Input((input_size, input_size, 3), name="pixels")
        scaled = pixels
        if not self.rescales:
            # As keras.applications.resnet50.preprocess_input does: channels to BGR, ImageNet mean subtracted.
            scaled = keras.layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68])(pixels[..., ::-1])
        network = self.application()(include_top=False, weights=None, input_tensor=scaled)
        return keras.Model(pixels, network.output, name=self.name.lower())


SPECS: dict[str, BackboneSpec] = {
    "EfficientNetB0": BackboneSpec(
        "EfficientNetB0",
        feature_layers=("block2b_add", "block3b_add", "block4c_add", "block5c_add", "block6d_add"),
        from_layer="block5c_add",
        rescales=True,
    ),
    "ResNet50": BackboneSpec(
        "ResNet50",
        feature_layers=("conv2_block3_out", "conv3_block4_out", "conv4_block6_out"),
        from_layer="conv3_block4_out",
        rescales=False,
    ),
}

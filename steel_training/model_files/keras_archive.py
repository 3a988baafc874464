"""A `.keras` file names only classes that this program's networks are made of: no Lambda, no code, nothing that opens a file.

Keras loads it in safe mode, which refuses Lambda layers by itself, but not every class that reads files (as vocabularies do).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator

_LAYERS = """
Activation Add Average AveragePooling2D BatchNormalization Concatenate Conv2D Dense DepthwiseConv2D Dropout Flatten Functional
GlobalAveragePooling2D GlobalMaxPooling2D InputLayer LeakyReLU MaxPooling2D Multiply Normalization ReLU Rescaling Reshape
SeparableConv2D Sequential ZeroPadding2D
"""
_OPERATIONS = """
Abs Clip Divide Exp GetItem Log Log1p Maximum Mean Minimum Negative Power Sigmoid Sqrt Square Std Subtract Var
"""
_SETTINGS = """
DTypePolicy GlorotNormal GlorotUniform HeNormal HeUniform Ones RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
__ellipsis__ __keras_tensor__ __slice__
"""
ALLOWED = frozenset((_LAYERS + _OPERATIONS + _SETTINGS).split())
_WITHOUT_MODULE = frozenset({"__ellipsis__", "__keras_tensor__", "__slice__"})
_LARGEST_CONFIG = 64 * 1024 * 1024


def objection(data: bytes) -> str | None:
    """Return why a `.keras` file must not be loaded, as the end of a sentence about it; `None` where it may be."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                return "has a configuration of more than 64 MiB"
            config = json.loads(archive.read("config.json"))
        if not isinstance(config, dict):
            return "has a configuration that is not an object"
        # Loaded with compile=False, which leaves this one out, and only this one.
        found = _foreign({name: value for name, value in config.items() if name != "compile_config"})
        return next(found, None)
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RecursionError) as error:
        return f"cannot be read: it is damaged, or not a Keras file ({error!r:.120})"


def _foreign(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if "class_name" in value:
            yield from _unlike_ours(value)
        for each in value.values():
            yield from _foreign(each)
    elif isinstance(value, list):
        for each in value:
            yield from _foreign(each)


def _unlike_ours(value: dict[str, object]) -> Iterator[str]:
    name, module, registered = value["class_name"], value.get("module"), value.get("registered_name")
    from_keras = isinstance(module, str) and (module == "keras" or module.startswith("keras."))
    if name not in ALLOWED or not (from_keras or (module is None and name in _WITHOUT_MODULE)):
        yield f"names {module or 'no module'}.{name}, of which this program's networks are not made"
    elif registered not in (None, name):
        yield f"names {registered} in the place of {name}; this program's networks register nothing of their own"

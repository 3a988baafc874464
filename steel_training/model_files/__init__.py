"""What the files of a model may hold, decided from their bytes: nothing is loaded, and neither TensorFlow nor Keras is imported.

A SavedModel is a program: its graph can read and write files. `model.keras` names classes and functions to be called. So before one of
them is loaded, what it holds is compared with what this program's own exports hold.

- `saved_model`: the operations of a graph and of its functions.
- `keras_archive`: the classes that a `.keras` file names.
- `lite`: the custom operations of a LiteRT file, of which there may be none.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from steel_training.errors import SteelTrainingError
from steel_training.model_files import keras_archive, lite, saved_model

SAVED_MODEL, KERAS_MODEL = "saved_model", "model.keras"

ADVICE = (
    "It was not loaded: whoever can write the store may have changed it. Use another version or train again, and find out who wrote it; if an "
    "upgrade of TensorFlow or Keras brought this about, extend the list in steel_training/model_files"
)


class UnsafeModelFile(SteelTrainingError):
    """A model's file holds what this program's exports do not hold; it was not loaded."""


def objection(name: str, data: bytes) -> str | None:
    """Return why a file of a bundle must not be loaded; `None` where nothing speaks against it.

    Args:
        name: its path in the bundle, with slashes.
        data: its content.
    """
    path = PurePosixPath(name)
    if path.parts[:1] == (SAVED_MODEL,) and path.stem == "saved_model":
        # TensorFlow also loads saved_model.cpb and saved_model.pbtxt, in the place of saved_model.pb.
        found = saved_model.objection(data) if path.suffix == ".pb" else "is another form of a graph"
    elif path.suffix == ".keras":
        found = keras_archive.objection(data)
    elif path.suffix == ".tflite":
        found = lite.objection(data)
    else:
        return None
    return None if found is None else f"{name} {found}"


def require_safe(path: Path) -> None:
    """Check a model's file, or every file of a bundle.

    Raises:
        UnsafeModelFile: there is something in one of them that this program's exports do not hold.
    """
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    for file in files:
        name = file.name if file == path else file.relative_to(path).as_posix()
        if (found := objection(name, file.read_bytes())) is not None:
            raise UnsafeModelFile(f"{found}. {ADVICE}.")

"""Hands patches out to be reviewed blind in Label Studio or CVAT: pictures under random names, and a key that stays here.

The folder is whole or absent. `key.json` says which name is which patch; whoever has it is not blind, so it is not uploaded.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steel_training.data.dataset import new_folder
from steel_training.data.images import as_png, decode
from steel_training.errors import UsageError
from steel_training.labels.review.opened import Chosen
from steel_training.storage import schema

KEY = "key.json"
TASKS, CONFIG, LABELS, IMAGES = "label-studio-tasks.json", "label-studio.xml", "cvat-labels.json", "images"
SAID = ("defective", "clean", "cannot_tell")

_CONFIG = """<View>
  <Header value="Is this patch defective?"/>
  <Image name="image" value="$image" zoom="true" zoomControl="true" brightnessControl="true" contrastControl="true"/>
  <Choices name="said" toName="image" choice="single-radio" required="true" showInline="true">
    <Choice value="defective" hotkey="d"/>
    <Choice value="clean" hotkey="c"/>
    <Choice value="cannot_tell" hotkey="x"/>
  </Choices>
</View>
"""


class KeyUnreadable(UsageError):
    """The key of what was handed out does not exist or is damaged."""


@dataclass(frozen=True)
class Key:
    """What was handed out.

    Attributes:
        dataset: URI of the version.
        fingerprint: of the version.
        patches: `patch_id` by name.
    """

    dataset: str
    fingerprint: str
    patches: Mapping[str, str]


def hand_out(chosen: Chosen, out: str) -> None:
    """Write patches, in their order, with what Label Studio and CVAT need.

    Args:
        chosen: patches, for a blind review.
        out: new folder.

    Raises:
        OutputExists: `out` is not empty.
        ImageUnreadable: a patch cannot be decoded.
    """
    with new_folder(out, last=KEY) as folder:
        (folder / IMAGES).mkdir()
        tasks, patches = [], {}
        for number, patch in enumerate(chosen.patches, start=1):
            name = f"{number:05d}-{secrets.token_hex(4)}.png"
            data = as_png(decode(chosen.dataset.storage.read(patch.path)))
            (folder / IMAGES / name).write_bytes(data)
            image = f"data:image/png;base64,{base64.b64encode(data).decode()}"
            tasks.append({"data": {"image": image, "name": name}})
            patches[name] = patch.patch_id
        _write(folder / TASKS, tasks)
        (folder / CONFIG).write_text(_CONFIG, encoding="utf-8")
        _write(folder / LABELS, [{"name": said, "type": "tag", "attributes": []} for said in SAID])
        key = {"dataset": chosen.dataset.uri, "fingerprint": chosen.fingerprint, "patches": patches}
        _write(folder / KEY, {schema.KEY: schema.SCHEMA, **key})


def read_key(path: Path) -> Key:
    """Return the key that `hand_out` wrote.

    Raises:
        KeyUnreadable: it does not exist, or is damaged.
        WrittenByNewer: a later version of this program wrote it.
    """
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        schema.readable(found, str(path))
        patches = {str(name): str(patch_id) for name, patch_id in found["patches"].items()}
        return Key(str(found["dataset"]), str(found["fingerprint"]), patches)
    except FileNotFoundError:
        raise KeyUnreadable(f"{path} does not exist; expected the {KEY} that 'labels hand-out' wrote.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyUnreadable(f"{path} is no {KEY} of 'labels hand-out': {error}.") from None


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")

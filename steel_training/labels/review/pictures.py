"""The image files of patches for a browser, at addresses that say nothing.

A file's name may give the label away (`scratches/17.png`), and so may what is written inside the file. So an address is a keyed hash of
the path, and the pixels are encoded anew where Pillow is installed. Airflow's API server has no Pillow: there a file is
sent as it is, and what a browser cannot show is refused.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from steel_training.errors import SteelTrainingError
from steel_training.storage import Storage

_SHOWN = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"BM", "image/bmp"))


class PictureUnknown(SteelTrainingError):
    """The page asked for a picture that is none of this review."""


class PictureUnshowable(SteelTrainingError):
    """A patch is in a format that a browser does not show, or is damaged."""


class Pictures:
    """The files of one dataset that a review may show."""

    def __init__(self, storage: Storage, paths: Iterable[str], key: bytes) -> None:
        """Allow some files.

        Args:
            storage: of the dataset.
            paths: relative to it.
            key: secret of the addresses.
        """
        self._storage = storage
        self._key = key
        self._paths = {self.name(path): path for path in paths}

    def name(self, path: str) -> str:
        """Return the name under which a picture is asked for."""
        return hmac.digest(self._key, path.encode(), hashlib.sha256).hex()[:32]

    def read(self, name: str) -> tuple[bytes, str]:
        """Return a picture and its media type.

        Raises:
            PictureUnknown: there is none of this name.
            PictureUnshowable: a browser cannot show it.
            StorageError: the file cannot be read.
        """
        path = self._paths.get(name)
        if path is None:
            raise PictureUnknown("There is no such picture in this review. Reload the page.")
        data = self._storage.read(path)
        try:
            from steel_training.data.images import ImageUnreadable, as_png, decode
        except ImportError:
            return data, _kind(data)
        try:
            return as_png(decode(data)), "image/png"
        except ImageUnreadable as error:
            raise PictureUnshowable(f"The patch cannot be shown: {error}.") from None


def _kind(data: bytes) -> str:
    for start, kind in _SHOWN:
        if data.startswith(start):
            return kind
    raise PictureUnshowable(
        "The patch cannot be shown: it is no PNG, JPEG or BMP file. Review it with 'steel-training labels review', which also shows TIFF."
    )

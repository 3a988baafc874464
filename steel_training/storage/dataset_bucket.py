"""A dataset on S3, which is untrusted: objects are read up to a size limit, as in `dataset_folder`."""

from __future__ import annotations

from steel_training.storage.dataset_folder import FileRefused, largest
from steel_training.storage.s3 import S3Storage


class DatasetBucket(S3Storage):
    """The objects of a dataset below a prefix of a bucket."""

    def _check_size(self, key: str, size: int) -> None:
        if size > (most := largest(key)):
            raise FileRefused(f"{self.location(key)} is too large: {size:,} bytes; at most {most:,} are read.")

"""Creates the buckets of STEEL_TRAINING_DATASET and STEEL_TRAINING_STORE if they are missing.

Folders need no preparation. An existing bucket is not changed, so credentials without permission to create buckets suffice.
"""

from __future__ import annotations

import sys

from botocore.exceptions import BotoCoreError, ClientError

from steel_training.environment import Environment
from steel_training.storage import S3Storage, open_storage

AWS_DEFAULT = "us-east-1"


def make_bucket(storage: S3Storage) -> bool:
    """Create the bucket of a storage; return whether it was missing.

    Raises:
        ClientError: the service refuses.
    """
    try:
        storage.client.head_bucket(Bucket=storage.bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
    else:
        return False
    region = storage.client.meta.region_name
    if region == AWS_DEFAULT:
        storage.client.create_bucket(Bucket=storage.bucket)
    else:
        # S3 requires the region, except for its default one.
        place = {"LocationConstraint": region}
        storage.client.create_bucket(Bucket=storage.bucket, CreateBucketConfiguration=place)  # type: ignore[arg-type]
    return True


def main() -> int:
    """Prepare every address; stops at the first that fails."""
    environment = Environment.read()
    for name, address in (("STEEL_TRAINING_DATASET", environment.dataset), ("STEEL_TRAINING_STORE", environment.store)):
        if not address:
            print(f"{name} is not set; expected a folder or s3:// URI.", file=sys.stderr)
            return 2
        storage = open_storage(address)
        if not isinstance(storage, S3Storage):
            continue
        try:
            made = make_bucket(storage)
        except (BotoCoreError, ClientError) as error:
            print(f"{name}={storage.uri}: {error}. Check the AWS_ variables and the bucket's name.", file=sys.stderr)
            return 1
        print(f"bucket {storage.bucket}: {'created' if made else 'exists'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

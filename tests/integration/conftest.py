"""The stack of docker-compose.yaml on this machine, with a small dataset on its S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_api import AirflowApi
from composed.stack import Stack, missing
from nights import NO_NIGHT

from steel_training.ingest.synthetic.sample import make_sample

ROOT = Path(__file__).resolve().parents[2]

DAG = "steel_training"
S3 = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services of the profile "cpu", healthy."""
    if lacks := missing():
        pytest.skip(lacks)
    # As the file has it, the scheduler gives a silent task up after Airflow's 300 s; a test need not wait so long.
    impatient = {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60"}
    # Nobody edits a DAG meanwhile: reading them again every 30 s took a tenth of all CPU time.
    once = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600"}
    # Other tests keep all cores busy meanwhile: of two threads one waits for the other, and the audit of labels takes twice the CPU time.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
    further = {"scheduler": impatient, "dag-processor": once, "worker": alone, "gpu-worker-on-cpu": alone}
    stack = Stack(tmp_path_factory.mktemp("stack"), NO_NIGHT)
    with stack.running(**further) as started:
        yield started


@pytest.fixture(scope="module")
def s3(stack: Stack) -> Iterator[Stack]:
    """The stack, with its S3 as the one that this process finds."""
    with pytest.MonkeyPatch.context() as patch:
        for name in S3:
            patch.setenv(name, stack.env[name])
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{stack.ports['s3']}")
        yield stack


@pytest.fixture(scope="module")
def admin(s3: Stack) -> AirflowApi:
    """The API for one who may do everything; there is a dataset, and the DAG is switched on."""
    make_sample(f"{s3.env['STEEL_TRAINING_DATASET']}/2026-11-24", coils=12, photographs_per_coil=2)
    api = AirflowApi(s3.address, "admin", s3.env["AIRFLOW_ADMIN_PASSWORD"])
    api.switch_on(DAG)
    return api

# Three images from one file, by target:
#   orchestrator   Airflow and the typed configuration; no TensorFlow
#   worker         and what the stages need, on the CPU
#   gpu-worker     and the CUDA libraries (the host brings the driver)
# What is installed is what requirements/ pins and hashes.

ARG PYTHON=3.12.12-slim-bookworm

FROM python:${PYTHON} AS base
RUN useradd --uid 50000 --create-home --home-dir /opt/airflow airflow \
 && install -d -o airflow -g airflow /opt/airflow/logs /opt/airflow/auth /var/lib/steel-training /var/cache/steel-training \
                                            /srv/steel-training
WORKDIR /opt/steel-training
COPY requirements/bootstrap.txt requirements/
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
ENV AIRFLOW_HOME=/opt/airflow \
    PYTHONUNBUFFERED=1 \
    UV_SYSTEM_PYTHON=1 \
    UV_NO_CACHE=1 \
    UV_COMPILE_BYTECODE=1

# The images hold the package as it is installed, and neither its sources nor what a build leaves beside them.
FROM base AS wheel
COPY pyproject.toml README.md LICENSE ./
COPY steel_training steel_training
RUN uv build --wheel --no-build-isolation --out-dir /wheel

FROM base AS orchestrator
COPY requirements/orchestrator.txt requirements/
RUN uv pip install --require-hashes -r requirements/orchestrator.txt
COPY dags dags
COPY plugins plugins
COPY scripts/heartbeat.py scripts/init.sh scripts/make_buckets.py scripts/
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel uv pip install --no-deps /wheel/*.whl
USER airflow

FROM base AS worker
COPY requirements/worker.txt requirements/
RUN uv pip install --require-hashes -r requirements/worker.txt
COPY dags dags
COPY plugins plugins
COPY scripts/show_trainings.py scripts/
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel uv pip install --no-deps /wheel/*.whl
USER airflow

FROM base AS gpu-worker
COPY requirements/gpu-worker.txt requirements/
RUN uv pip install --require-hashes -r requirements/gpu-worker.txt
COPY dags dags
COPY plugins plugins
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel uv pip install --no-deps /wheel/*.whl
USER airflow

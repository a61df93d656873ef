# The environment of pyproject.toml, at its pins, with Snakemake: for docker, Kubernetes and, through apptainer, clusters.
# The workflow itself is not inside: it is mounted, or sent by Snakemake. How to build and use it: docs/cloud.md.
# PyTorch brings the CUDA libraries; the base has the CUDA runtime and what the NVIDIA container toolkit looks for.
# CUDA: that of the pinned torch, written by tools/pin.py.
ARG CUDA=13.2.2
FROM nvidia/cuda:${CUDA}-base-ubuntu24.04

# git: the commit is part of every record, also of a mounted checkout that belongs to another user. g++: torch.compile.
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates g++ git python3 python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && git config --system --add safe.directory '*'

ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_PYTHON=/usr/bin/python3 UV_NO_CACHE=1
WORKDIR /opt/genbench
COPY pyproject.toml ./
# pip: Snakemake's cloud executors install the storage plugin with it when a job starts.
RUN python3 -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir uv==0.13.9 \
 && /opt/uv/bin/uv sync --no-dev --no-install-project \
 && /opt/uv/bin/uv pip install --python /opt/venv/bin/python pip==25.3

# Any user may run it, also one without a home: caches go to /tmp. Apptainer has a home of its own instead.
# CMA: ranks would read each other's memory, which docker forbids and MPICH does not notice before it fails.
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp MPIR_CVAR_CH4_CMA_ENABLE=0
RUN useradd --uid 1001 --home-dir /tmp genbench && install -d -o genbench /work
USER 1001
WORKDIR /work
CMD ["snakemake", "--help"]

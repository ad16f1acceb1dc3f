# syntax=docker/dockerfile:1
# What hosts Flows: an image for teams to build theirs on.
#
#   docker build --platform linux/amd64 -f deploy/images/orchestrator.Dockerfile -t tiergate/orchestrator .
#
# and in the Flows' own project
#
#   FROM tiergate/orchestrator
#   COPY --chown=10001:10001 my_flows /flows/my_flows
#   CMD ["serve", "my_flows.flow:MyFlow", "--host", "0.0.0.0"]
#
# Its root may be read-only: what is written is in /workspace, /home/tiergate and /tmp.
#
# A release names its base by digest: --build-arg BASE=python@sha256:…
# Flows that use CrewAI's memory or knowledge: --build-arg LOCK=locks/orchestrator.txt
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG LOCK=locks/orchestrator-slim.txt
WORKDIR /source
COPY locks locks
RUN python3 -m venv --without-pip /tools \
 && python3 -m pip --python /tools/bin/python install --no-cache-dir --require-hashes -r locks/build.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY tiers tiers
COPY gateway gateway
COPY orchestrator orchestrator
COPY deploy deploy
RUN /tools/bin/hatchling build -t wheel -d /wheel \
 && deploy/images/install /opt/tiergate "$LOCK" /wheel/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="Tiergate orchestrator" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/tiergate /opt/tiergate
# CrewAI writes below its home; runs are kept in /workspace, where Runpod mounts a network volume, or in a Redis.
RUN useradd --uid 10001 --user-group --create-home --home-dir /home/tiergate tiergate \
 && install -d -o 10001 -g 10001 /workspace /flows
USER 10001:10001
ENV PYTHONUNBUFFERED=1 PYTHONPATH=/flows TIERGATE_RUNS=/workspace/runs HOME=/home/tiergate
WORKDIR /flows
EXPOSE 8000
# 204 while it warms up, 200 when it serves, 503 when it ends.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["/opt/tiergate/bin/python", "-P", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/ping', timeout=2)"]
# -P: no code is ever imported from the working directory, only from where PYTHONPATH says.
ENTRYPOINT ["/opt/tiergate/bin/python", "-P", "-m", "orchestrator"]
CMD ["--help"]

# syntax=docker/dockerfile:1
# The gateway with its hot path compiled.
#
#   docker build --platform linux/amd64 -f deploy/images/gateway.Dockerfile -t tiergate/gateway .
#   docker run --read-only --tmpfs /tmp -v tiergate:/var/lib/tiergate -p 8080:8080 \
#     -v ./tiers.yaml:/etc/tiergate/tiers.yaml:ro tiergate/gateway
#
# A release names its base by digest: --build-arg BASE=python@sha256:…
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
SHELL ["/bin/bash", "-eo", "pipefail", "-c"]
# What compiles the hot path; none of it is in the image. Its version follows the base image's Debian.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY locks locks
RUN python3 -m venv --without-pip /tools \
 && python3 -m pip --python /tools/bin/python install --no-cache-dir --require-hashes -r locks/build.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY tiers tiers
COPY gateway gateway
COPY orchestrator orchestrator
COPY deploy deploy
RUN HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 /tools/bin/hatchling build -t wheel -d /wheel \
 && deploy/images/install /opt/tiergate locks/gateway.txt /wheel/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="Tiergate gateway" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/tiergate /opt/tiergate
# Nobody's home: nothing is written but what TIERGATE_STATE_DIRECTORY names, for the embedded store and the journal.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent tiergate \
 && install -d -o 10001 -g 10001 /var/lib/tiergate
USER 10001:10001
ENV PYTHONUNBUFFERED=1 TIERGATE_STATE_DIRECTORY=/var/lib/tiergate TIERGATE_TIERS=/etc/tiergate/tiers.yaml
WORKDIR /var/lib/tiergate
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["/opt/tiergate/bin/python", "-P", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
# -P: no code is ever imported from the working directory.
ENTRYPOINT ["/opt/tiergate/bin/python", "-P", "-m", "gateway"]
CMD ["serve", "--host", "0.0.0.0", "--drain-delay-seconds", "5"]

# syntax=docker/dockerfile:1
# The deploy tool; as it is, it emulates Runpod.
#
#   docker build --platform linux/amd64 -f deploy/images/deploy.Dockerfile -t tiergate/deploy .
#   docker run --read-only --hostname emulator --tmpfs /var/lib/tiergate:uid=10001,gid=10001 tiergate/deploy
#
# It listens at the name "emulator", which is also in the addresses of the endpoints that it makes: whoever calls them
# has to know it by that name. A release names its base by digest: --build-arg BASE=python@sha256:…
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
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
 && deploy/images/install /opt/tiergate locks/deploy.txt /wheel/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="Tiergate deploy tool" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/tiergate /opt/tiergate
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent tiergate \
 && install -d -o 10001 -g 10001 /var/lib/tiergate
USER 10001:10001
ENV PYTHONUNBUFFERED=1
WORKDIR /var/lib/tiergate
EXPOSE 8090
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["/opt/tiergate/bin/python", "-P", "-c", "from urllib.request import urlopen; urlopen('http://emulator:8090/emulator/state', timeout=2)"]
# -P: no code is ever imported from the working directory.
ENTRYPOINT ["/opt/tiergate/bin/python", "-P", "-m", "deploy"]
CMD ["emulate", "--host", "emulator", "--state-directory", "/var/lib/tiergate"]

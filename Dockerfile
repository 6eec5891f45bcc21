# streamer for recordings and pipes; a microphone needs the host's sound server besides (docs/usage/install.md).
#
#   docker build --tag streamer .
#   docker run --rm --network none --user "$(id -u):$(id -g)" --volume "$PWD:/data" streamer file calls/ --csv calls.csv
#
# As a server for calls: deploy/compose.yaml.
#
# On Linux, pip's usual index brings a torch with CUDA, several GB that nothing here uses. For the CPU build add
#   --build-arg EXTRA_INDEX=URL      the index of CPU builds that PyTorch's install page names
FROM python:3.13-slim-trixie
# tini, as process 1, passes signals on and collects what ends: a program that is process 1 itself is not ended by
# `docker stop`, unless it handles SIGTERM. /data belongs to the user, and so does a volume that is mounted there.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libportaudio2 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home streamer \
    && install --directory --owner streamer --group streamer /data \
    && python -m venv /opt/streamer
ENV PATH=/opt/streamer/bin:$PATH PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# What streamer needs is in layers of its own, so that a change of the source neither installs nor moves it again.
COPY requirements.lock requirements-serve.lock pyproject.toml /opt/streamer/
WORKDIR /opt/streamer
RUN pip install --require-hashes --no-deps --requirement requirements.lock --requirement requirements-serve.lock
ARG EXTRA_INDEX=
RUN PIP_EXTRA_INDEX_URL=$EXTRA_INDEX pip install "$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)"
RUN --mount=type=bind,target=/source pip install --no-deps /source && pip check
USER streamer
WORKDIR /data
ENTRYPOINT ["tini", "--", "streamer"]
CMD ["--help"]

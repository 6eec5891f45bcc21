# streamer for recordings and pipes; a microphone needs the host's sound server besides (docs/usage/install.md).
#
#   docker build --tag streamer .
#   docker run --rm --network none --user "$(id -u):$(id -g)" --volume "$PWD:/data" streamer file calls/ --csv calls.csv
#
# As a server for calls: deploy/compose.yaml.
#
# On Linux, pip's usual index brings a torch with CUDA, several GB that nothing here uses. For the CPU build add
#   --build-arg EXTRA_INDEX=URL      the index of CPU builds that PyTorch's install page names
FROM python:3.13-slim-trixie AS build
ARG EXTRA_INDEX=
ENV PIP_EXTRA_INDEX_URL=$EXTRA_INDEX PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY . .
RUN python -m venv /opt/streamer \
    && PIP_EXTRA_INDEX_URL= /opt/streamer/bin/pip install --require-hashes --no-deps --requirement requirements.lock \
    && sed -n 's/^\([^ ]*==[^ ;]*\).*/\1/p' requirements-dev.lock > /tmp/versions \
    && /opt/streamer/bin/pip install --constraint /tmp/versions '.[serve]'

FROM python:3.13-slim-trixie
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libportaudio2 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home streamer
COPY --from=build /opt/streamer /opt/streamer
ENV PATH=/opt/streamer/bin:$PATH PYTHONUNBUFFERED=1
USER streamer
WORKDIR /data
ENTRYPOINT ["streamer"]
CMD ["--help"]

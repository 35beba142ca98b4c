# The app for a class in a container: docker compose up, then http://localhost:8501.
#
#   docker build --tag resnet-viz .                                      torch for the CPU
#   docker build --tag resnet-viz --build-arg TORCH=cu130 .              torch for NVIDIA cards; run it with --gpus all
#
# It runs as a user without rights, and writes to /data alone (downloaded weights and data sets) and to /tmp: start it with
# --read-only --tmpfs /tmp --volume resnet-viz:/data, as compose.yaml does.
FROM python:3.11-slim

ARG TORCH=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

# torch first, from its own index and in its own layer: it is nine tenths of the image and changes least.
WORKDIR /app
COPY requirements.txt .
RUN pip install $(grep -E '^(torch|torchvision)==' requirements.txt) --index-url https://download.pytorch.org/whl/${TORCH} \
 && pip install -r requirements.txt \
 && apt-get update && apt-get install --yes --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/*

COPY app.py .
COPY .streamlit .streamlit
COPY pages pages
COPY checkpoints checkpoints
COPY resnet_viz resnet_viz
RUN python -m compileall -q resnet_viz && useradd --system --create-home --home-dir /data viz && chown -R viz /data

USER viz
ENV HOME=/data RESNET_VIZ_DATA=/data/sets TORCH_HOME=/data/torch
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s CMD \
  ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/health', timeout=4)"]
# One server for every two cores; --replicas N for another number.
ENTRYPOINT ["python", "-m", "resnet_viz", "class", "--folder", "/tmp/class"]

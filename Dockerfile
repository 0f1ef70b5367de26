# frugal with libtorch and the CUDA libraries in: about 3.5 GB. The same image trains on a CPU where there is no card.
#
#   docker build -t frugal .
#   docker run --gpus all -v "$PWD":/data frugal -config configs/demo-pt.yaml
#
# --gpus needs NVIDIA's container toolkit on the host, and driver 580 or newer. Paths in a configuration are relative to
# /data, the directory that -v puts there; what is written belongs to user 1000, or to you with --user "$(id -u):$(id -g)".

# libtorch in a stage of its own: it changes with its script alone, so code changes never download it again.
FROM python:3.13-slim-bookworm AS libtorch
WORKDIR /opt/frugal
COPY scripts/install-libtorch.sh scripts/
RUN PIP_NO_CACHE_DIR=1 scripts/install-libtorch.sh --cuda

FROM golang:1.26-bookworm AS build
WORKDIR /opt/frugal
COPY go.mod go.sum ./
RUN go mod download
COPY --from=libtorch /opt/frugal/third_party third_party
COPY . .
RUN go build -o bin/ ./cmd/... && rm -r third_party/torch/include

# The programs look for libtorch in /opt/frugal/torch/../third_party, relative to the package that they were built from:
# so everything lies there again, and an empty torch/ as well.
FROM debian:bookworm-slim
COPY --from=build /opt/frugal/third_party /opt/frugal/third_party
COPY --from=build /opt/frugal/bin /opt/frugal/bin
COPY configs /opt/frugal/configs
RUN useradd --uid 1000 --create-home frugal && mkdir /opt/frugal/torch /data && chown frugal: /data
USER 1000
WORKDIR /data
ENV PATH=/opt/frugal/bin:$PATH \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENTRYPOINT ["train"]

# syntax=docker/dockerfile:1
# One image for both daemons and the command; the entrypoint chooses:
#   docker run warren:VERSION /sidecar --workload ...
#   docker run warren:VERSION /controlplane --config-dir ...

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath \
    -ldflags "-s -w -X github.com/warrenmesh/warren/internal/version.Version=${VERSION}" \
    -o /out/ ./cmd/sidecar ./cmd/controlplane ./cmd/warren

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/sidecar /out/controlplane /out/warren /
USER 65532:65532
ENTRYPOINT ["/sidecar"]

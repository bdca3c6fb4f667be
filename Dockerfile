# bledsoe on the CPU, with ONNX Runtime and OpenVINO. Every step is a script of docker/, which .ci/run runs too.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN docker/packages.sh build
RUN docker/build.sh
RUN PREFIX=/out docker/install.sh
RUN PREFIX=/out docker/engine.sh

FROM debian:bookworm-slim
COPY docker/ /tmp/docker/
RUN /tmp/docker/packages.sh runtime && /tmp/docker/user.sh
COPY --from=build /out/ /usr/local/
USER 10001
RUN /tmp/docker/check.sh
WORKDIR /data
ENTRYPOINT ["bledsoe"]
CMD ["--help"]

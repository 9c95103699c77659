FROM rust:1.95-bookworm AS build
WORKDIR /build

# Dependencies have a layer of their own, which only a change in these two files rebuilds.
COPY Cargo.toml Cargo.lock ./
# Cargo wants every target of the manifest to exist: benches and tests are left out of it, the crate
# is an empty stand-in. `cargo clean` removes what was built of the stand-in, since Cargo goes by file
# times and would take it for newer than the sources copied below.
RUN awk '/^\[/ { skip = /^\[\[(bench|example|test)\]\]/ } !skip' Cargo.toml > Cargo.slim \
    && mv Cargo.slim Cargo.toml \
    && mkdir src && echo '#![allow(warnings)] pub fn main() {}' | tee src/lib.rs > src/main.rs \
    && cargo build --release --locked --bin planner-arm \
    && cargo clean --release --locked --package planner-arm \
    && rm -r src

COPY src src
RUN cargo build --release --locked --bin planner-arm


FROM debian:bookworm-slim
# For HTTPS to the LLM. The file alone: the package would bring OpenSSL, which nothing here uses.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN useradd --uid 1000 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin planner
COPY --from=build /build/target/release/planner-arm /usr/local/bin/planner-arm

# No setting is made here, so that all come from the operator: a variable of the image would win over
# a mounted settings file. The defaults suit a container (0.0.0.0:8001, logs to standard output), and
# without PLANNER_ENVIRONMENT=production it starts without a key too, with the embedded planner.
# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 8001
# Asks the address that the settings name. It has 3 seconds of patience itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["planner-arm", "healthcheck"]
# On SIGTERM plans in flight may finish within PLANNER_SHUTDOWN_GRACE_SECONDS (15): stop with
# `docker stop -t 20`, since Docker kills after 10 seconds otherwise.
STOPSIGNAL SIGTERM
ENTRYPOINT ["planner-arm"]
CMD ["serve"]

ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="planner-arm" \
      org.opencontainers.image.description="The planner arm of OctoLLM: a goal goes in, a sound, executable plan comes out." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

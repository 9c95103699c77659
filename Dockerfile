# Two images: the planner arm, which is what `docker build .` makes, and the reference orchestrator:
#   docker build -t planner-arm .
#   docker build -t orchestrator --target orchestrator .

FROM rust:1.95-bookworm AS manifest
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
# Dependencies have a layer of their own in each build below, which only a change in these two files rebuilds.
# Cargo wants every target of the manifest to exist: benches and tests are left out of it, the crate and its
# binaries are empty stand-ins.
RUN awk '/^\[/ { skip = /^\[\[(bench|example|test)\]\]/ } !skip' Cargo.toml > Cargo.slim \
    && mv Cargo.slim Cargo.toml \
    && mkdir -p src/bin \
    && echo '#![allow(warnings)] pub fn main() {}' | tee src/lib.rs src/main.rs > src/bin/orchestrator.rs


# `cargo clean` removes what was built of the stand-ins, since Cargo goes by file times and would take it for
# newer than the sources copied behind it.
FROM manifest AS build-planner-arm
RUN cargo build --release --locked --bin planner-arm \
    && cargo clean --release --locked --package planner-arm \
    && rm -r src
COPY src src
RUN cargo build --release --locked --bin planner-arm


FROM manifest AS build-orchestrator
RUN cargo build --release --locked --features orchestrator --bin orchestrator \
    && cargo clean --release --locked --package planner-arm \
    && rm -r src
COPY src src
RUN cargo build --release --locked --features orchestrator --bin orchestrator


FROM debian:bookworm-slim AS base
# For HTTPS. The file alone: the package would bring OpenSSL, which nothing here uses.
COPY --from=manifest /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN useradd --uid 1000 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin octollm
# On SIGTERM plans in flight may finish within SHUTDOWN_GRACE_SECONDS (15): stop with `docker stop -t 20`,
# since Docker kills after 10 seconds otherwise.
STOPSIGNAL SIGTERM
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"


FROM base AS orchestrator
COPY --from=build-orchestrator /build/target/release/orchestrator /usr/local/bin/orchestrator
# Where its SQLite file is made, unless ORCHESTRATOR_DATABASE_URL names another database.
RUN install -d -o 1000 -g 1000 /var/lib/orchestrator
WORKDIR /var/lib/orchestrator
USER 1000:1000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["orchestrator", "healthcheck"]
ENTRYPOINT ["orchestrator"]
CMD ["serve"]
LABEL org.opencontainers.image.title="orchestrator" \
      org.opencontainers.image.description="The reference orchestrator of OctoLLM: has the planner arm plan tasks, and stores the plans."


# The last one, so that it is the one that is built by default.
FROM base AS planner-arm
COPY --from=build-planner-arm /build/target/release/planner-arm /usr/local/bin/planner-arm
# No setting is made here, so that all come from the operator: a variable of the image would win over
# a mounted settings file. The defaults suit a container (0.0.0.0:8001, logs to standard output), and
# without PLANNER_ENVIRONMENT=production it starts without a key too, with the embedded planner.
# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 8001
# Asks the address that the settings name. It has 3 seconds of patience itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["planner-arm", "healthcheck"]
ENTRYPOINT ["planner-arm"]
CMD ["serve"]
LABEL org.opencontainers.image.title="planner-arm" \
      org.opencontainers.image.description="The planner arm of OctoLLM: a goal goes in, a valid, executable plan comes out."

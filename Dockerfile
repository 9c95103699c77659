# Two images: the planner arm, which is what `docker build .` makes, and the reference orchestrator:
#   docker build -t planner-arm .
#   docker build -t orchestrator --target orchestrator .
# For development, `--build-arg BUILD_PROFILE=dev` builds several times faster; the programs are larger and slower.

FROM rust:1.95-bookworm AS manifest
WORKDIR /build
ARG BUILD_PROFILE=release
ENV BUILD_PROFILE=$BUILD_PROFILE
# FEATURES=orchestrator builds the dependencies of both programs together: faster if you build both, slower for one.
ARG FEATURES=
ENV FEATURES=$FEATURES
COPY Cargo.toml Cargo.lock ./
# Dependencies have a layer of their own below, which only a change in these two files rebuilds. Cargo wants every
# target of the manifest to exist: benches and tests are left out of it, the crate and its binaries are empty.
RUN awk '/^\[/ { skip = /^\[\[(bench|example|test)\]\]/ } !skip' Cargo.toml > Cargo.slim \
    && mv Cargo.slim Cargo.toml \
    && mkdir -p src/bin \
    && echo '#![allow(warnings)] pub fn main() {}' | tee src/lib.rs src/main.rs > src/bin/orchestrator.rs
# What the final images contain in addition to the program and the libraries that it is linked with: certificate
# authorities for HTTPS, the user's name, and a folder for temporary files.
RUN install -D --mode 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && echo 'octollm:x:1000:1000::/nonexistent:/sbin/nologin' > /image/etc/passwd \
    && echo 'octollm:x:1000:' > /image/etc/group \
    && install -d --mode 1777 /image/tmp


# `cargo clean` removes what was built of the empty crate: Cargo compares file times, and would consider it newer than
# the sources copied after it.
FROM manifest AS dependencies
RUN cargo build --profile "$BUILD_PROFILE" --locked --features "$FEATURES" --bin planner-arm \
    && cargo clean --profile "$BUILD_PROFILE" --locked --package planner-arm


FROM dependencies AS build-planner-arm
COPY src src
RUN cargo build --profile "$BUILD_PROFILE" --locked --features "$FEATURES" --bin planner-arm \
    && install -D --strip target/*/planner-arm /image/usr/local/bin/planner-arm \
    && ldd target/*/planner-arm | grep -o '/[^ ]*' | xargs cp --dereference --parents --target-directory /image


# On top of the planner arm's dependencies: most of the orchestrator's are the same.
FROM dependencies AS build-orchestrator
RUN cargo build --profile "$BUILD_PROFILE" --locked --features orchestrator --bin orchestrator \
    && cargo clean --profile "$BUILD_PROFILE" --locked --package planner-arm
COPY src src
RUN cargo build --profile "$BUILD_PROFILE" --locked --features orchestrator --bin orchestrator \
    && install -D --strip target/*/orchestrator /image/usr/local/bin/orchestrator \
    && ldd target/*/orchestrator | grep -o '/[^ ]*' | xargs cp --dereference --parents --target-directory /image \
    # Where its SQLite file is created, unless ORCHESTRATOR_DATABASE_URL names another database.
    && install -d --owner 1000 --group 1000 /image/var/lib/orchestrator


# No shell and no package manager, which could be exploited and would need updates.
FROM scratch AS base
# On SIGTERM plans in flight may finish within SHUTDOWN_GRACE_SECONDS (15): stop with `docker stop -t 20`,
# since Docker kills after 10 seconds otherwise.
STOPSIGNAL SIGTERM
ENV PATH=/usr/local/bin
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.vendor="OctoLLM" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"


FROM base AS orchestrator
COPY --from=build-orchestrator /image /
WORKDIR /var/lib/orchestrator
USER 1000:1000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["orchestrator", "healthcheck"]
ENTRYPOINT ["orchestrator"]
CMD ["serve"]
LABEL org.opencontainers.image.title="orchestrator" \
      org.opencontainers.image.description="The reference orchestrator of OctoLLM: has the planner arm plan tasks, and stores the plans."


# The last stage, so that it is built by default.
FROM base AS planner-arm
COPY --from=build-planner-arm /image /
# No settings here: a variable of the image would take precedence over a mounted settings file. The defaults suit a
# container (0.0.0.0:8001, logs to standard output). Without PLANNER_ENVIRONMENT=production it starts even without a
# key, with the embedded planner.
# The user is a number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 8001
# Requests /health at the address in the settings, with its own timeout of 3 seconds.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["planner-arm", "healthcheck"]
ENTRYPOINT ["planner-arm"]
CMD ["serve"]
LABEL org.opencontainers.image.title="planner-arm" \
      org.opencontainers.image.description="The planner arm of OctoLLM: turns goals into valid plans."

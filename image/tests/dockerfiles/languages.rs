//! Builds of programs in several languages.

use crate::render::{Asked, check};

#[test]
fn go_with_caches_and_cross_compilation() {
    let text = r#"# syntax=docker/dockerfile:1
ARG GO_VERSION=1.22
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-alpine AS build
WORKDIR /src
RUN --mount=type=cache,target=/go/pkg/mod/ \
    --mount=type=bind,source=go.sum,target=go.sum \
    --mount=type=bind,source=go.mod,target=go.mod \
    go mod download -x
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod/ \
    --mount=type=bind,target=. \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -o /bin/server .

FROM alpine:latest AS final
RUN --mount=type=cache,target=/var/cache/apk \
    apk --update add \
        ca-certificates \
        tzdata \
        && \
        update-ca-certificates
ARG UID=10001
RUN adduser --disabled-password --uid "${UID}" appuser
USER appuser
COPY --from=build /bin/server /bin/
EXPOSE 8080
ENTRYPOINT [ "/bin/server" ]
"#;
    check(
        text,
        &Asked::default(),
        r#"
        0: build = golang:1.22-alpine linux/amd64 {}
        WORKDIR /src
        RUN cache(/go/pkg/mod/ /go/pkg/mod/ Shared) bind(- go.sum go.sum) bind(- go.mod go.mod) sh go mod download -x
        ARG TARGETOS=linux TARGETARCH=arm64
        RUN cache(/go/pkg/mod/ /go/pkg/mod/ Shared) bind(- / .) sh CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -o /bin/server .
        1: final = alpine:latest linux/arm64 {0}
        RUN cache(/var/cache/apk /var/cache/apk Shared) sh apk --update add         ca-certificates         tzdata         &&         update-ca-certificates
        ARG UID=10001
        RUN sh adduser --disabled-password --uid "${UID}" appuser
        USER appuser
        COPY from=build /bin/server -> /bin/
        EXPOSE 8080/tcp
        ENTRYPOINT ["/bin/server"]
        "#,
    );
}

const NODE: &str = r#"ARG NODE_VERSION=20.11.0
FROM node:${NODE_VERSION}-alpine as base
WORKDIR /usr/src/app

FROM base as deps
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm,sharing=locked \
    --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --omit=dev

FROM deps as build
RUN npm ci
COPY . .
RUN ["npm", "run", "build"]

FROM base as final
ENV NODE_ENV production
USER node
COPY --chown=node:node package.json .
COPY --from=deps --chown=node:node /usr/src/app/node_modules ./node_modules
COPY --from=build /usr/src/app/dist ./dist
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=3s --retries=3 \
  CMD wget -qO- http://localhost:3000/health || exit 1
CMD npm start

FROM build AS test
CMD ["npm", "test"]
"#;

#[test]
fn node_with_shared_dependencies() {
    let asked = Asked { target: Some("final"), arguments: &[("NODE_VERSION", "22")] };
    check(
        NODE,
        &asked,
        r#"
        0: base = node:22-alpine linux/arm64 {}
        WORKDIR /usr/src/app
        1: deps = stage 0 linux/arm64 {0}
        COPY package.json package-lock.json -> ./
        RUN cache(/root/.npm /root/.npm Locked) secret(npmrc Some("/root/.npmrc") None) sh npm ci --omit=dev
        2: build = stage 1 linux/arm64 {1}
        RUN sh npm ci
        COPY . -> .
        RUN ["npm", "run", "build"]
        3: final = stage 0 linux/arm64 {0, 1, 2}
        ENV NODE_ENV=production
        USER node
        COPY chown=node:node package.json -> .
        COPY from=deps chown=node:node /usr/src/app/node_modules -> ./node_modules
        COPY from=build /usr/src/app/dist -> ./dist
        EXPOSE 3000/tcp
        HEALTHCHECK Some(30s) Some(3) sh wget -qO- http://localhost:3000/health || exit 1
        CMD sh npm start
        "#,
    );
}

#[test]
fn python_with_a_virtual_environment() {
    let text = r#"FROM python:3.12-slim AS builder
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    # where the packages are
    VIRTUAL_ENV=/opt/venv
ENV PATH="$VIRTUAL_ENV/bin:$PATH"
RUN python -m venv $VIRTUAL_ENV
COPY requirements*.txt /tmp/
RUN pip install --no-cache-dir -r /tmp/requirements.txt

FROM python:3.12-slim
LABEL org.opencontainers.image.title="An app" \
      org.opencontainers.image.description='It has "quotes"' maintainer=me\ too
COPY --from=builder /opt/venv /opt/venv
ENV PATH /opt/venv/bin:$PATH
WORKDIR /app
COPY --link --chmod=0644 src/ src/
VOLUME ["/data", "/with space"]
STOPSIGNAL SIGINT
CMD [ "gunicorn", "--bind=0.0.0.0:8000", "app:app" ]
"#;
    check(
        text,
        &Asked::default(),
        r#"
        0: builder = python:3.12-slim linux/arm64 {}
        ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 VIRTUAL_ENV=/opt/venv
        ENV PATH=/opt/venv/bin:/bin
        RUN sh python -m venv $VIRTUAL_ENV
        COPY requirements*.txt -> /tmp/
        RUN sh pip install --no-cache-dir -r /tmp/requirements.txt
        1: - = python:3.12-slim linux/arm64 {0}
        LABEL org.opencontainers.image.title=An app org.opencontainers.image.description=It has "quotes" maintainer=me too
        COPY from=builder /opt/venv -> /opt/venv
        ENV PATH=/opt/venv/bin:/bin
        WORKDIR /app
        COPY chmod=0644 link src/ -> src/
        VOLUME ["/data", "/with space"]
        STOPSIGNAL SIGINT
        CMD ["gunicorn", "--bind=0.0.0.0:8000", "app:app"]
        "#,
    );
}

#[test]
fn rust_with_a_recipe_of_its_dependencies() {
    let text = r#"FROM rust:1.78 AS chef
RUN cargo install cargo-chef
WORKDIR /app
FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json
FROM chef AS builder
COPY --from=planner /app/recipe.json recipe.json
RUN cargo chef cook --release --recipe-path recipe.json
COPY . .
RUN cargo build --release
FROM gcr.io/distroless/cc@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
COPY --from=2 /app/target/release/app /
ENTRYPOINT ["/app"]
"#;
    check(
        text,
        &Asked::default(),
        r#"
        0: chef = rust:1.78 linux/arm64 {}
        RUN sh cargo install cargo-chef
        WORKDIR /app
        1: planner = stage 0 linux/arm64 {0}
        COPY . -> .
        RUN sh cargo chef prepare --recipe-path recipe.json
        2: builder = stage 0 linux/arm64 {0, 1}
        COPY from=planner /app/recipe.json -> recipe.json
        RUN sh cargo chef cook --release --recipe-path recipe.json
        COPY . -> .
        RUN sh cargo build --release
        3: - = gcr.io/distroless/cc@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 linux/arm64 {2}
        COPY from=2 /app/target/release/app -> /
        ENTRYPOINT ["/app"]
        "#,
    );
}

#[test]
fn java_c_and_php() {
    check(
        "FROM eclipse-temurin:21 AS jre-build\nRUN $JAVA_HOME/bin/jlink \\\n  --add-modules java.base \\\n  \
         --output /javaruntime\nFROM debian:stable-slim\nENV JAVA_HOME=/opt/java\nENV PATH \
         \"${JAVA_HOME}/bin:${PATH}\"\nCOPY --from=jre-build /javaruntime $JAVA_HOME\nCMD exec java \
         $OPTS -jar /app.jar",
        &Asked::default(),
        "0: jre-build = eclipse-temurin:21 linux/arm64 {}
         RUN sh $JAVA_HOME/bin/jlink   --add-modules java.base   --output /javaruntime
         1: - = debian:stable-slim linux/arm64 {0}
         ENV JAVA_HOME=/opt/java
         ENV PATH=/opt/java/bin:/bin
         COPY from=jre-build /javaruntime -> /opt/java
         CMD sh exec java $OPTS -jar /app.jar",
    );
    check(
        "FROM gcc AS build\nADD --checksum=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 \
         https://example.com/x.tar.gz /src/\nRUN make -C /src CFLAGS=\"-O2 -static\"\nFROM scratch\nCOPY \
         --from=build /src/x /x\nENTRYPOINT [\"/x\"]\nCMD []",
        &Asked::default(),
        "0: build = gcc:latest linux/arm64 {}
         ADD https://example.com/x.tar.gz -> /src/
         RUN sh make -C /src CFLAGS=\"-O2 -static\"
         1: - = scratch linux/arm64 {0}
         COPY from=build /src/x -> /x
         ENTRYPOINT [\"/x\"]
         CMD []",
    );
    check(
        "FROM php:8.3-fpm\nCOPY --from=composer/composer:2-bin /composer /usr/bin/composer\nRUN set -eux; \
         \\\n\tapt-get update; \\\n\n# tools\n\tapt-get install -y git; \\\n\trm -rf /var/lib/apt/lists/*\n\
         EXPOSE 9000-9001/tcp 53/udp\nUSER www-data:www-data",
        &Asked::default(),
        "0: - = php:8.3-fpm linux/arm64 {}
         COPY from=composer/composer:2-bin /composer -> /usr/bin/composer
         RUN sh set -eux; \tapt-get update; \tapt-get install -y git; \trm -rf /var/lib/apt/lists/*
         EXPOSE 9000/tcp 9001/tcp 53/udp
         USER www-data:www-data",
    );
}

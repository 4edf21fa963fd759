# A worker: Node, the program, TensorFlow from its Python wheel, no Python, no compiler. One process
# computes on one GPU; `train` in this image starts one for each, with a coordinator beside them and
# the run folder in /var/lib/tandem. From the root of the repository:
#   docker build -f deploy/images/worker.Dockerfile -t tandem-worker:0.1.0-cuda12 .
#   docker build -f deploy/images/worker.Dockerfile --build-arg CUDA=0 -t tandem-worker:0.1.0-cpu .
# With CUDA the wheel and NVIDIA's libraries for CUDA 12 come to about 3 GB to fetch and 6 GB to keep;
# the host brings the driver (525 or newer) through NVIDIA's container toolkit.
ARG NODE_IMAGE=node:24.19.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
# Debian keeps one version of a package: a pin would fail at the next security fix.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends g++ python3 python3-pip ca-certificates \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY cli/setup cli/setup
# TensorFlow's libraries into /opt/tandem, pinned by hash; links to them and the addon into
# node_modules. NVIDIA's packages are linked where TensorFlow looks for them. Before the sources, so
# that a change of ours does not fetch them again.
ARG CUDA=1
ENV XDG_CACHE_HOME=/opt TANDEM_CUDA=${CUDA} TANDEM_BACKEND=tensorflow
RUN node cli/setup/run.mjs backend
COPY . .
RUN node node_modules/typescript/bin/tsc -b cli \
  && find dist -name '*.map' -delete -o -name '*.d.ts' -delete -o -name '.tsbuildinfo' -delete \
  && npm prune --omit=dev --no-audit --no-fund \
  && rm -rf /opt/tandem/*/include /opt/tandem/tfjs-binding-*

FROM ${NODE_IMAGE}
# Debian keeps one version of a package: a pin would fail at the next security fix.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /usr/local/lib/node_modules /opt/yarn* \
  && ln -s /app/cli/bin.js /usr/local/bin/tandem \
  && mkdir -p /var/lib/tandem /var/cache/tandem \
  && chown 10001:10001 /var/lib/tandem /var/cache/tandem
WORKDIR /app
# The largest and least changing layer first.
COPY --from=build /opt/tandem /opt/tandem
COPY --from=build /app/package.json ./
COPY --from=build /app/proto proto
COPY --from=build /app/cli/bin.js cli/bin.js
COPY --from=build /app/dashboard/page dashboard/page
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# The two last are for NVIDIA's container toolkit: which GPUs, and no graphics.
ENV NODE_ENV=production XDG_CACHE_HOME=/var/cache/tandem \
  NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
VOLUME ["/var/cache/tandem"]
EXPOSE 7072
ENTRYPOINT ["tini", "--", "node", "--no-incremental-marking", "/app/cli/bin.js"]
CMD ["worker", "--help"]

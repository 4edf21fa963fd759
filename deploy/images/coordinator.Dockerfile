# The coordinator: Node, the program, no TensorFlow, no compiler. From the root of the repository:
#   docker build -f deploy/images/coordinator.Dockerfile -t tandem-coordinator:0.1.0 .
ARG NODE_IMAGE=node:24.19.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY . .
# Without the tests: `-b cli` builds what the program imports.
RUN node node_modules/typescript/bin/tsc -b cli \
  && find dist -name '*.map' -delete -o -name '*.d.ts' -delete -o -name '.tsbuildinfo' -delete
# What only a worker needs goes, with everything that came along with it.
RUN npm pkg delete 'dependencies.@tensorflow/tfjs-node-gpu' 'dependencies.@tensorflow/tfjs-core' \
    'dependencies.@tensorflow/tfjs-backend-wasm' dependencies.node-api-headers \
  && npm prune --omit=dev --no-audit --no-fund

FROM ${NODE_IMAGE}
# tini is process 1: it passes signals on and buries what others leave behind. npm stays outside.
# Debian keeps one version of a package: a pin would fail at the next security fix.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /usr/local/lib/node_modules /opt/yarn* \
  && ln -s /app/cli/bin.js /usr/local/bin/tandem \
  && mkdir -p /var/lib/tandem /var/cache/tandem \
  && chown 10001:10001 /var/lib/tandem /var/cache/tandem
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/proto proto
COPY --from=build /app/cli/bin.js cli/bin.js
COPY --from=build /app/dashboard/page dashboard/page
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
ENV NODE_ENV=production XDG_CACHE_HOME=/var/cache/tandem
USER 10001:10001
# The root may be read-only: only these two folders and /tmp are written to.
VOLUME ["/var/lib/tandem", "/var/cache/tandem"]
EXPOSE 7070 7071
ENTRYPOINT ["tini", "--", "node", "--no-incremental-marking", "/app/cli/bin.js"]
CMD ["coordinator", "--help"]

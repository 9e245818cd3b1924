FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build

FROM node:24-bookworm-slim
# The agent needs Node and nothing else of the image.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn-*
WORKDIR /app
COPY --from=build /src/dist ./dist
COPY config ./config
# One malloc arena: threads of the pool would otherwise keep some megabytes each.
ENV NODE_ENV=production MALLOC_ARENA_MAX=1 STORAGE_DIR=/var/lib/targetvpc
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/targetvpc
USER 65532:65532
VOLUME /var/lib/targetvpc
EXPOSE 8001
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["node", "-e", "require('http').get({port: process.env.SERVER_PORT || 8001, path: '/health'}, ({statusCode}) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
# A young generation of 1 MB and code compiled for size keep the agent small: docs/benchmarks.md has the figures.
ENTRYPOINT ["node", "--max-semi-space-size=1", "--optimize-for-size", "--v8-pool-size=1", "--max-old-space-size=64", "dist/targetvpc.mjs"]

# One image for every part: `docker run holdfast ingest`, `replicator`, `query-api`, `simulate`.
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build --chown=node:node /app/package.json ./
COPY --from=build --chown=node:node /app/node_modules ./node_modules
COPY --from=build --chown=node:node /app/dist ./dist
# Named volumes take over the owner of the folder they cover.
RUN mkdir /data /fleet && chown node:node /data /fleet
USER node
ENTRYPOINT ["node", "/app/dist/cli/main.js"]
CMD ["--help"]

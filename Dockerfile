# The service alone; its state is a PostgreSQL of yours (DATABASE_URL). CI does not build this image.
FROM node:24-slim AS build
WORKDIR /usher
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=optional
COPY . .
RUN node scripts/run.mjs build

FROM node:24-slim AS dependencies
WORKDIR /usher
COPY package.json package-lock.json .npmrc ./
# optional: a Node and embedded PostgreSQL servers, which an image has no use for
RUN npm ci --omit=dev --omit=optional

FROM node:24-slim
ENV NODE_ENV=production USHER_HOST=0.0.0.0 USHER_PORT=3000
WORKDIR /usher
COPY --from=dependencies /usher/node_modules node_modules
COPY --from=build /usher/dist dist
COPY package.json LICENSE NOTICE ./
COPY prisma/migrations prisma/migrations
# owned by root, run by another: the service cannot change its own code
USER node
EXPOSE 3000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.USHER_PORT}/health/ready`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# as PID 1, Node gets SIGTERM itself and shuts down in order
CMD ["node", "--enable-source-maps", "dist/main.js"]

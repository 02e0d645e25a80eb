import { defineConfig } from 'vitest/config';

export default defineConfig({
  // graphql ships twice, and two copies do not know each other's types: the tests use the one that Node gives to Nest
  resolve: { alias: { graphql: 'graphql/index.js' } },
  test: {
    include: ['src/**/*.spec.ts', 'local/**/*.spec.ts', 'test/**/*.spec.ts'],
    reporters: ['default', './scripts/result-line.mjs'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    isolate: false,
    maxWorkers: 2,
  },
});

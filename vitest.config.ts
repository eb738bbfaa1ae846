import { defineConfig } from 'vitest/config';

/** Tests that need no server: vitest starts the servers only when a test of the other project runs. */
const PURE = ['test/domain/**/*.test.ts'];

const shared = {
  // Temporal's native worker wants a process per file.
  pool: 'forks' as const,
  testTimeout: 60_000,
  hookTimeout: 120_000,
  teardownTimeout: 30_000,
};

export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: ['default'],
    projects: [
      { test: { ...shared, name: 'domain', include: PURE } },
      {
        test: {
          ...shared,
          name: 'servers',
          include: ['test/**/*.test.ts'],
          exclude: PURE,
          globalSetup: ['test/support/globalSetup.ts'],
        },
      },
    ],
  },
});

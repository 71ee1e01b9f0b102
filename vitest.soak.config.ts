import { defineConfig } from 'vitest/config';

/** The long runs: seeded, resumable, one file at a time. `npm run soak -- faults` runs one of them. */
export default defineConfig({
  test: {
    include: ['test/soak/**/*.test.ts'],
    testTimeout: 6 * 3_600_000,
    hookTimeout: 600_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
});

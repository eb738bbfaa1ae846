// npm test [-- FILTER…]: the checks, then every test; with arguments, only the tests that vitest selects by them. The
// last line on stdout is `N passed, N failed`, with `, N skipped` when there were any.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './lib/shared.mjs';
import { CHECKS, describeCheck, runChecks } from './lib/tasks.mjs';

const filters = process.argv.slice(2);
const checks = filters.length > 0 ? [] : await checkAll();
const tests = runTests(filters);
const passed = checks.filter(({ ok }) => ok).length + tests.passed;
const failed = checks.filter(({ ok }) => !ok).length + tests.failed;
process.exitCode = failed === 0 && tests.passed > 0 ? 0 : 1;
const skipped = tests.skipped > 0 ? `, ${tests.skipped} skipped` : '';
process.stdout.write(`${passed} passed, ${failed} failed${skipped}\n`);

function checkAll() {
  return runChecks(CHECKS, (result) => {
    process.stdout.write(`${describeCheck(result)}\n`);
  });
}

function runTests(args) {
  const folder = mkdtempSync(join(tmpdir(), 'durabill-summary-'));
  const file = join(folder, 'summary.json');
  try {
    const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
    const reporters = ['--reporter=default', '--reporter=./scripts/lib/summaryReporter.mjs'];
    const result = spawnSync(process.execPath, [vitest, 'run', ...reporters, ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, DURABILL_TEST_SUMMARY: file },
    });
    return readSummary(file, result.status);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A run that ended badly without a failed test (a crash, a set-up that failed, no test found) is one failure. */
function readSummary(file, status) {
  let summary;
  try {
    summary = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    process.stderr.write(`the test run left no summary: ${error.message}\n`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  if (status !== 0 && summary.failed === 0) return { ...summary, failed: 1 };
  return summary;
}

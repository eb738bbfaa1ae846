import { writeFileSync } from 'node:fs';

/** A vitest reporter that writes the counts of the run to the file named by DURABILL_TEST_SUMMARY. */
export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) count(module, counts);
    writeFileSync(process.env.DURABILL_TEST_SUMMARY, JSON.stringify(counts));
  }
}

function count(module, counts) {
  let failedHere = 0;
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    if (state === 'passed') counts.passed += 1;
    else if (state === 'failed') failedHere += 1;
    else counts.skipped += 1;
  }
  // A file that cannot be loaded, or a hook that throws, fails without any test of its own failing.
  if (failedHere === 0 && module.state() === 'failed') failedHere = 1;
  counts.failed += failedHere;
}

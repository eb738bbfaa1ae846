// npm run check [-- NAME…]: types, lint, format, architecture, unused code.
import { CHECKS, describeCheck, runChecks } from './lib/tasks.mjs';

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !CHECKS.some((check) => check.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `unknown check ${unknown.join(', ')}; there are ${CHECKS.map(({ name }) => name).join(', ')}\n`,
  );
  process.exit(2);
}
const checks = CHECKS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const results = await runChecks(checks, (result) => {
  process.stdout.write(`${describeCheck(result)}\n`);
});
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;

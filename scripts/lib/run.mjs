import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildWhenNeeded } from './build.mjs';
import { installWhenNeeded } from './install.mjs';
import { withLock } from './lock.mjs';
import { ROOT, SetUpError } from './shared.mjs';

/** What each command runs once everything is there, and whether it needs the compiled program. */
const COMMANDS = {
  start: { entry: 'dist/src/main.js', build: true },
  demo: { entry: 'dist/src/demo/main.js', build: true },
  build: { entry: null, build: true },
  test: { entry: 'scripts/test.mjs', build: true },
  'test:soak': { entry: 'scripts/soak.mjs', build: true },
  bench: { entry: 'dist/bench/main.js', build: true },
  check: { entry: 'scripts/check.mjs', build: false },
  format: { entry: 'scripts/format.mjs', build: false },
};

/** Sets up what the command needs, then becomes it: same process, so signals and exit code need no forwarding. */
export async function run(name, args) {
  const command = Object.hasOwn(COMMANDS, name ?? '') ? COMMANDS[name] : null;
  if (command === null) {
    process.stderr.write(
      `usage: node scripts/bootstrap.mjs ${Object.keys(COMMANDS).join('|')} [arguments]\n`,
    );
    process.exit(2);
  }
  try {
    await withLock(join(ROOT, '.tools', 'bootstrap.lock'), () => {
      installWhenNeeded();
      if (command.build) buildWhenNeeded();
    });
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
  if (command.entry === null) return;
  const entry = join(ROOT, command.entry);
  if (!existsSync(entry)) {
    process.stderr.write(`${command.entry} does not exist\n`);
    process.exit(1);
  }
  process.setSourceMapsEnabled(true);
  process.argv.splice(1, process.argv.length, entry, ...args);
  await import(pathToFileURL(entry).href);
}

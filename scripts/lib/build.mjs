import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { ROOT, runStep, say } from './shared.mjs';

const SOURCE_FOLDERS = ['src', 'workflows', 'activities', 'bench'];
const OTHER_INPUTS = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json', 'scripts/lib/bundle.mjs'];
const DIST = join(ROOT, 'dist');
const STAMP = join(DIST, 'build-stamp');

/** Compiles, copies and bundles into dist/ when a source has changed since the last time. Returns whether it did. */
export function buildWhenNeeded() {
  const stamp = hashOfSources();
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === stamp) return false;
  say('building');
  const fresh = join(ROOT, `dist.${process.pid}.partial`);
  try {
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    runStep('compiling', process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh]);
    copyAssets(fresh);
    const bundle = join(fresh, 'workflow-bundle.js');
    runStep('bundling the workflows', process.execPath, [
      'scripts/lib/bundle.mjs',
      'workflows/index.ts',
      bundle,
    ]);
    writeFileSync(join(fresh, 'build-stamp'), stamp);
    replace(DIST, fresh);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return true;
}

/** In two renames, so that a kill in the middle of a build never leaves half a program behind. */
function replace(target, fresh) {
  const old = `${target}.${process.pid}.old`;
  if (existsSync(target)) renameSync(target, old);
  renameSync(fresh, target);
  rmSync(old, { recursive: true, force: true });
}

/** What the program reads at run time beside its code: SQL, styles, pages. */
function copyAssets(target) {
  for (const file of sourceFiles()) {
    if (extname(file) === '.ts') continue;
    mkdirSync(dirname(join(target, file)), { recursive: true });
    cpSync(join(ROOT, file), join(target, file));
  }
}

function hashOfSources() {
  const hash = createHash('sha256').update(process.versions.modules);
  for (const file of [...sourceFiles(), ...OTHER_INPUTS]) {
    hash.update(`\n${file}\n`).update(readFileSync(join(ROOT, file)));
  }
  return hash.digest('hex');
}

function sourceFiles() {
  return SOURCE_FOLDERS.filter((folder) => existsSync(join(ROOT, folder)))
    .flatMap((folder) => listFiles(folder))
    .sort();
}

function listFiles(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? listFiles(path) : [path];
  });
}

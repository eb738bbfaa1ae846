// npm run format: rewrites the sources in the project's format.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './lib/shared.mjs';

const biome = join(ROOT, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
const result = spawnSync(process.execPath, [biome, 'format', '--write', '.'], {
  cwd: ROOT,
  stdio: 'inherit',
});
process.exitCode = result.status ?? 1;

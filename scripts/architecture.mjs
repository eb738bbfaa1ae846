// Who may import whom (.dependency-cruiser.cjs), and no SQL text outside its folders. Fails as well when it has read
// suspiciously little: with an unexpected compiler beside it, the tool reads no module and reports success.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cruise } from 'dependency-cruiser';
import extractDepcruiseOptions from 'dependency-cruiser/config-utl/extract-depcruise-options';
import extractTsConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import { ROOT } from './lib/shared.mjs';

const MODULES_MIN = 30;
const SQL_FOLDERS = ['src/storage/', 'src/metering/'];
const SQL =
  /[`'"]\s*(select\s[\s\S]*?\bfrom\b|insert\s+into\s|update\s+[a-z_]+\s+set\s|delete\s+from\s|create\s+table\s)/i;

process.chdir(ROOT);
const folders = ['src', 'workflows', 'activities'].filter((folder) => existsSync(folder));
const problems = [...(await wrongImports(folders)), ...folders.flatMap(misplacedSql)];
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

async function wrongImports(paths) {
  const options = await extractDepcruiseOptions('./.dependency-cruiser.cjs');
  const { output } = await cruise(paths, options, undefined, {
    tsConfig: extractTsConfig('./tsconfig.json'),
  });
  const { summary, modules } = output;
  const read = modules.filter(({ source }) => /^(src|workflows|activities)\//.test(source)).length;
  const found = summary.violations.map(
    ({ rule, from, to, cycle }) =>
      `${rule.name}: ${from} → ${cycle ? cycle.map(({ name }) => name).join(' → ') : to}`,
  );
  process.stdout.write(`${read} modules read, ${found.length} forbidden imports\n`);
  if (read < MODULES_MIN) found.push(`only ${read} modules were read, expected at least ${MODULES_MIN}`);
  return found;
}

function misplacedSql(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !SQL_FOLDERS.some((allowed) => file.startsWith(allowed)))
    .filter((file) => SQL.test(readFileSync(file, 'utf8')))
    .map((file) => `sql-stays-in-storage: SQL text in ${file}`);
}

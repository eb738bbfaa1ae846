/**
 * Who may import whom. An arrow that is not allowed here is a design decision, not an accident: change this file in the
 * same commit as the design.
 */
const OURS = '^(src|workflows|activities)/';
/** The parts that know SQL, and what they stand on. */
const SQL = '^src/(storage|metering)/';

const only = (name, comment, from, allowed, extra = {}) => ({
  name,
  comment,
  severity: 'error',
  from,
  to: { pathNot: allowed, ...extra },
});

const never = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

module.exports = {
  forbidden: [
    only(
      'domain-is-pure',
      'src/domain imports itself, and the calendar in period code: no I/O, no clock, nothing of ours.',
      { path: '^src/domain/', pathNot: '^src/domain/period' },
      '^src/domain/',
    ),
    only(
      'period-knows-the-calendar',
      'Period code may use the calendar library.',
      { path: '^src/domain/period' },
      '^(src/domain/|node_modules/temporal-(polyfill|spec|utils)/)',
    ),
    only(
      'workflows-are-deterministic',
      'workflows import src/domain, and the Temporal packages made for the sandbox.',
      { path: '^workflows/' },
      '^(workflows/|src/domain/|node_modules/@temporalio/(workflow|common)/)',
      { dependencyTypesNot: ['type-only'] },
    ),
    only(
      'workflows-know-types-only',
      'Of activities and of names shared with the client, workflows see types.',
      { path: '^workflows/' },
      '^(workflows/|activities/|src/(domain|temporal)/|src/core\\.ts|node_modules/@temporalio/(workflow|common)/)',
    ),
    never(
      'sql-stays-in-storage',
      'Only src/storage and src/metering talk to Postgres.',
      { path: OURS, pathNot: SQL },
      { path: '^node_modules/(pg|pg-.*|@types/pg)/' },
    ),
    never(
      'express-stays-in-http',
      'Only src/http knows Express.',
      { path: OURS, pathNot: '^src/http/' },
      { path: '^node_modules/(express|@types/express|@types/express-serve-static-core)/' },
    ),
    never(
      'zod-stays-at-the-edge',
      'Input is validated where it comes in: requests and settings.',
      { path: OURS, pathNot: '^src/(http/|config\\.ts)' },
      { path: '^node_modules/zod/' },
    ),
    never(
      'use-cases-know-no-edge',
      'src/billing is called by HTTP and by activities; it knows neither.',
      { path: '^src/billing/' },
      { path: '^(src/http/|activities/|src/(main|engine|config)\\.ts|node_modules/express/)' },
    ),
    never(
      'storage-is-the-bottom',
      'Storage and metering know no use case, no edge and no workflow code.',
      { path: SQL },
      {
        path: '^(src/(http|billing|webhooks|payments|render|dashboard|cli|demo)/|activities/|src/(main|engine|config)\\.ts)',
      },
    ),
    never(
      'activities-are-thin',
      'Activities call use cases; they know no SQL and no HTTP.',
      { path: '^activities/' },
      { path: '^src/http/' },
    ),
    never(
      'program-knows-no-tests',
      'What is shipped imports nothing of the tests, benchmarks or scripts.',
      { path: OURS },
      { path: '^(test|bench|scripts)/' },
    ),
    never(
      'no-development-packages',
      'What is shipped runs on what is installed with it; the demo runs from a checkout, with the official client.',
      { path: OURS, pathNot: '^src/demo/' },
      { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: '^node_modules/@types/' },
    ),
    never(
      'no-circular',
      'A cycle has no bottom: nobody can read it piece by piece.',
      {},
      {
        circular: true,
        viaOnly: { dependencyTypesNot: ['type-only'] },
      },
    ),
    never('resolvable', 'Every import leads somewhere.', { path: OURS }, { couldNotResolve: true }),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};

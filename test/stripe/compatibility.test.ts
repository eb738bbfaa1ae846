import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { stripeRoutes } from '../../src/http/stripe/index.js';
import { v2Routes } from '../../src/http/v2/index.js';
import { compatibilityTables, GENERATED_FROM } from '../support/compatibility.js';
import { stripeRequests } from '../support/stripeSchemas.js';

const requests = stripeRequests();
const file = new URL('../../docs/compatibility.md', import.meta.url);

it.skipIf(requests === null)('docs/compatibility.md tells what is served now', async () => {
  const written = readFileSync(file, 'utf8').split(GENERATED_FROM)[0] ?? '';
  const tables = compatibilityTables([...stripeRoutes.endpoints, ...v2Routes.endpoints], requests ?? {});
  await expect(`${written}${GENERATED_FROM}\n\n${tables}`).toMatchFileSnapshot(file.pathname);
});

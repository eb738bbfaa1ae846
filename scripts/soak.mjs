// npm run test:soak: the soak is written in TypeScript like every test, and no test runner is needed for it.
import { tsImport } from 'tsx/esm/api';

await tsImport('../test/soak/main.ts', import.meta.url);

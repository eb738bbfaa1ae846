// Bundles the workflows: node scripts/lib/bundle.mjs ENTRY OUTPUT. In a process of its own, because it needs the
// installed packages and webpack keeps its memory.
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';

const [entry, output] = process.argv.slice(2);
const silent = () => undefined;
const complain = (message) => process.stderr.write(`${message}\n`);
const logger = { log: silent, trace: silent, debug: silent, info: silent, warn: complain, error: complain };
const { code } = await bundleWorkflowCode({ workflowsPath: resolve(entry), logger });
writeFileSync(output, code);

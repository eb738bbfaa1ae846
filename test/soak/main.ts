// npm run test:soak: many rounds of kill -9 under load, then every sum and count is compared.
import { parseArgs } from 'node:util';
import { soak } from './soak.js';

const SEED = 20_261_124;
const ROUNDS = '40';
const SECONDS = '1800';

const HELP = `npm run test:soak [-- --rounds N] [--seconds S] [--seed N]

Kills API, worker, Temporal or Postgres with SIGKILL at random moments while a client sends events and sends again what
was not acknowledged; ends after N rounds (${ROUNDS}) or S seconds (${SECONDS}), whichever is first.
`;

process.exitCode = await run();

async function run(): Promise<number> {
  const { values } = parseArgs({
    strict: true,
    options: {
      rounds: { type: 'string', default: ROUNDS },
      seconds: { type: 'string', default: SECONDS },
      seed: { type: 'string', default: String(SEED) },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const log = (line: string): void => void process.stdout.write(`${line}\n`);
  const seed = wholeNumber('seed', values.seed);
  log(`seed ${seed}`);
  const rounds = wholeNumber('rounds', values.rounds);
  const report = await soak({ seed, rounds, seconds: wholeNumber('seconds', values.seconds), log });
  const kills = Object.entries(report.kills).map(([victim, count]) => `${victim} ${count}`);
  log(
    `${report.rounds} rounds (${kills.join(', ')}); ${report.events} events sent, ${report.retries} requests sent ` +
      `again, ${report.doubles} sent twice at once`,
  );
  if (report.differences.length === 0) {
    log('every sum and count is what the client sent');
    return 0;
  }
  for (const difference of report.differences) log(`DIFFERENT: ${difference}`);
  return 1;
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name}: must be a whole number`);
  return Number.parseInt(text, 10);
}

import { parseArgs } from 'node:util';

/** The parts of the benchmark, in the order in which they run. */
export const SECTIONS = ['ingest', 'reads', 'signals', 'alerts', 'memory', 'contracts'] as const;
export type SectionName = (typeof SECTIONS)[number];

export interface BenchOptions {
  readonly only: readonly SectionName[];
  /** Length of each timed run. */
  readonly seconds: number;
  /** Events of the parts that need a number of them: the big customer, the fed subscription, memory. */
  readonly events: number;
  /** Events on the big rate card. */
  readonly contractEvents: number;
  /** Subscriptions that are dirty at once. */
  readonly subscriptions: number;
  readonly jsonFile: string | null;
  /** Where the engine writes its CPU profile; null for none. */
  readonly profileDir: string | null;
}

export const HELP = `npm run bench [-- OPTIONS]

Starts an engine of its own on free loopback ports and a temporary data folder, measures it, ends it.

  --only NAME[,NAME]   ${SECTIONS.join(', ')} (all)
  --seconds N          length of each timed run (5)
  --events N           events in the big period, to the fed subscription, of the memory run (1000000) and on the big rate
                       card (200000)
  --subscriptions N    subscriptions that are dirty at once (300)
  --json FILE          the results as JSON
  --profile DIR        a CPU profile of the engine (.cpuprofile) goes there
  --full               what issues 4 and 5 ask for: --seconds 10 --events 10000000 --subscriptions 10000, and 1000000
                       events on the big rate card
`;

const FULL = { seconds: 10, events: 10_000_000, contractEvents: 1_000_000, subscriptions: 10_000 };
const USUAL = { seconds: 5, events: 1_000_000, contractEvents: 200_000, subscriptions: 300 };

/** The command line, or 'help'. Throws an Error that says what is wrong. */
export function parseBenchArgs(args: readonly string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    allowPositionals: false,
    options: {
      only: { type: 'string' },
      seconds: { type: 'string' },
      events: { type: 'string' },
      subscriptions: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
      full: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const usual = values.full ? FULL : USUAL;
  return {
    only: values.only === undefined ? SECTIONS : values.only.split(',').map(sectionNamed),
    seconds: wholeNumber('seconds', values.seconds, usual.seconds),
    events: wholeNumber('events', values.events, usual.events),
    contractEvents: wholeNumber('events', values.events, usual.contractEvents),
    subscriptions: wholeNumber('subscriptions', values.subscriptions, usual.subscriptions),
    jsonFile: values.json ?? null,
    profileDir: values.profile ?? null,
  };
}

function sectionNamed(name: string): SectionName {
  const found = SECTIONS.find((section) => section === name);
  if (found === undefined) throw new Error(`--only: '${name}' is none of ${SECTIONS.join(', ')}`);
  return found;
}

function wholeNumber(name: string, text: string | undefined, usual: number): number {
  if (text === undefined) return usual;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`--${name}: must be a whole number from 1`);
  return Number.parseInt(text, 10);
}

import { increments, readWindow, type WindowReading } from '../../domain/contract/aggregation.js';
import { groupValues, matchesFilters, partValues } from '../../domain/contract/metric.js';
import { pieceIndexAt } from '../../domain/contract/cuts.js';
import { type Decimal, isZero, ZERO } from '../../domain/decimal.js';
import type { Instant, Period } from '../../domain/period.js';
import type { Dimensions } from './dimensions.js';
import {
  groupId,
  type GroupReading,
  type MetricTarget,
  neededNames,
  passesFilters,
  projected,
  type ReadingQuery,
} from './reading.js';
import type { ArrivedEvent } from './stored.js';

interface Value {
  at: Instant;
  arrival: bigint;
  /** For each aggregate of the metric: one, or as many as a formula has parts. */
  values: readonly (Decimal | string | null)[];
}

interface GroupEvents {
  dimensions: Dimensions;
  windows: Map<number, Value[]>;
  levelBefore: { at: Instant; arrival: bigint; value: Decimal } | null;
}

/** The level of a group before the first window, by group id: what holds until its first event. */
export type LevelsBefore = ReadonlyMap<string, { dimensions: Dimensions } & LevelBefore>;
export interface LevelBefore {
  at: Instant;
  arrival: bigint;
  value: Decimal;
}

/** Reads a target from events themselves; those before the first window only say what level it begins with. */
export function readFromEvents(
  target: MetricTarget,
  query: ReadingQuery,
  events: readonly ArrivedEvent[],
  levels: LevelsBefore = new Map(),
): GroupReading[] {
  const groups = new Map<string, GroupEvents>();
  for (const [id, { dimensions, ...levelBefore }] of levels) {
    groups.set(id, { dimensions, windows: new Map(), levelBefore });
  }
  for (const arrived of events) addEvent(groups, target, query, arrived);
  return [...groups.values()].map((group) => readGroup(target, query, group));
}

function addEvent(
  groups: Map<string, GroupEvents>,
  target: MetricTarget,
  { windows }: ReadingQuery,
  { event, arrival }: ArrivedEvent,
): void {
  const { metric, names } = target;
  if (!matchesFilters(metric, event)) return;
  const parts = partValues(metric, event);
  const dimensions = groupValues(event, neededNames(target));
  if (parts.every((part) => part === null) || !passesFilters(dimensions, target.filters)) return;
  const id = groupId(dimensions, names);
  const group: GroupEvents = groups.get(id) ?? {
    dimensions: projected(dimensions, names),
    windows: new Map(),
    levelBefore: null,
  };
  const at = event.timestamp;
  const [first] = windows;
  const last = windows.at(-1);
  if (first === undefined || last === undefined || at >= last.end) return;
  if (at < first.start) {
    const before = group.levelBefore;
    const [value = null] = parts;
    const isLater = before === null || at > before.at || (at === before.at && arrival > before.arrival);
    if (isLater && value !== null && typeof value !== 'string') group.levelBefore = { at, arrival, value };
  } else {
    const index = pieceIndexAt(windows, at);
    const known = group.windows.get(index);
    if (known === undefined) group.windows.set(index, [{ at, arrival, values: parts }]);
    else known.push({ at, arrival, values: parts });
  }
  groups.set(id, group);
}

function readGroup({ metric }: MetricTarget, query: ReadingQuery, group: GroupEvents): GroupReading {
  const overTime = metric.aggregation.type === 'TIME_WEIGHTED_SUM';
  const levelBefore = group.levelBefore?.value ?? ZERO;
  const pieces = query.windows.flatMap((window, index) => {
    const values = group.windows.get(index);
    if (values === undefined && !overTime) return [];
    const until = overTime ? Math.max(window.start, Math.min(window.end, query.at)) : window.end;
    return [{ index, window: { start: window.start, end: until }, values: values ?? [] }];
  });
  const readings = pieces.map(({ window, values }) => readParts(window, knownBy(values, window, overTime)));
  const running = query.mode === 'running' || overTime;
  const quantities = running
    ? increments(metric.aggregation, readings, levelBefore)
    : readings.map((reading) => increments(metric.aggregation, [reading])[0] ?? ZERO);
  const windows = pieces.map(({ index, values }, place) => {
    return { index, quantity: quantities[place] ?? ZERO, isUsed: values.length > 0 };
  });
  return {
    dimensions: group.dimensions,
    windows: windows
      .filter(({ quantity, isUsed }) => isUsed || !isZero(quantity))
      .map(({ index, quantity }) => ({ index, quantity })),
  };
}

function readParts(window: Period, values: readonly Value[]): WindowReading {
  const count = values[0]?.values.length ?? 1;
  const parts = Array.from({ length: count }, (_part, index) =>
    readWindow(
      window,
      values.flatMap(({ at, values: given }) => {
        const value = given[index] ?? null;
        return value === null ? [] : [{ at, value }];
      }),
    ),
  );
  return { ...readWindow(window, []), ...parts[0], parts };
}

/** In order; a level that begins after the end of what is known does not count yet. */
function knownBy(values: readonly Value[], window: Period, overTime: boolean): Value[] {
  const known = overTime ? values.filter(({ at }) => at < window.end) : [...values];
  return known.sort((a, b) => a.at - b.at || (a.arrival < b.arrival ? -1 : a.arrival > b.arrival ? 1 : 0));
}

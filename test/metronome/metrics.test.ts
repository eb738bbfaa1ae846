import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { failure, refusal } from './failure.js';

let engine: TestEngine;
let metronome: Metronome;

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
});
afterAll(() => engine.stop());

const cpuHours = {
  name: 'CPU hours',
  event_type_filter: { in_values: ['cpu'] },
  property_filters: [
    { name: 'hours', exists: true },
    { name: 'region', in_values: ['eu', 'us'] },
    { name: 'test', exists: false },
  ],
  aggregation_key: 'hours',
  group_keys: [['region'], ['region', 'hours']],
};

describe('billable metrics', () => {
  it('read as they were made, whatever the case of the aggregation', async () => {
    const { data } = await metronome.v1.billableMetrics.create({
      ...cpuHours,
      aggregation_type: 'sum' as 'SUM',
      custom_fields: { team: 'infra' },
    });
    const { data: read } = await metronome.v1.billableMetrics.retrieve({ billable_metric_id: data.id });
    expect(read).toEqual({
      ...cpuHours,
      id: data.id,
      aggregation_type: 'SUM',
      custom_fields: { team: 'infra' },
    });
  });

  it('are listed without archived ones unless asked', async () => {
    const { data: gone } = await metronome.v1.billableMetrics.create({
      name: 'Gone',
      aggregation_type: 'COUNT',
    });
    await metronome.v1.billableMetrics.archive({ id: gone.id });
    const names = async (query: object) => {
      const found = [];
      for await (const metric of metronome.v1.billableMetrics.list({ limit: 1, ...query }))
        found.push(metric.name);
      return found;
    };
    expect(await names({})).not.toContain('Gone');
    expect(await names({ include_archived: true })).toContain('Gone');
    const { data: read } = await metronome.v1.billableMetrics.retrieve({ billable_metric_id: gone.id });
    expect(read.archived_at).toEqual(expect.any(String));
  });

  it('know two aggregations more than Metronome', async () => {
    const filters = { property_filters: [{ name: 'v', exists: true }], aggregation_key: 'v' };
    const make = (body: object) => metronome.v1.billableMetrics.create({ name: 'Ours', ...filters, ...body });
    const { data } = await make({ aggregation_type: 'percentile', percentile: 99.9 });
    const { data: read } = await metronome.v1.billableMetrics.retrieve({ billable_metric_id: data.id });
    expect(read).toMatchObject({ aggregation_type: 'PERCENTILE', percentile: 99.9 });
    await make({ aggregation_type: 'time_weighted_sum' });
    expect(await refusal(make({ aggregation_type: 'percentile' }))).toContain("'percentile': is required");
    expect(await refusal(make({ aggregation_type: 'percentile', percentile: 99.95 }))).toContain(
      'is too large',
    );
    expect(await refusal(make({ aggregation_type: 'sum', percentile: 99 }))).toContain('PERCENTILE only');
  });

  it.each([
    [{ aggregation_type: 'AVG' }, "'aggregation_type': must be one of"],
    [{ aggregation_type: undefined }, "'aggregation_type': is required"],
    [{ aggregation_type: 'SUM' }, "'aggregation_key': is required for SUM"],
    [{ aggregation_type: 'SUM', aggregation_key: 'x' }, 'must be the name of one of the property filters'],
    [{ aggregation_key: 'x' }, 'does not apply to COUNT'],
    [{ group_keys: [['x']] }, "'x' needs a property filter"],
    [{ group_keys: [[]] }, "'group_keys[0]': must have at least 1"],
    [{ event_type_filter: { in_values: [] } }, "'event_type_filter.in_values'"],
    [{ event_type_filter: { only: ['x'] } }, "Unknown field 'event_type_filter.only'"],
    [{ sql: 'select count(*) from events' }, "cannot be combined with 'sql'"],
  ])('refuse %o', async (body, message) => {
    const made = metronome.v1.billableMetrics.create({
      name: 'Bad',
      aggregation_type: 'COUNT',
      ...body,
    } as never);
    expect(await refusal(made)).toContain(message);
  });

  it('answer 404 for one that is not there', async () => {
    for (const id of [crypto.randomUUID(), 'nonsense']) {
      const read = metronome.v1.billableMetrics.retrieve({ billable_metric_id: id });
      expect((await failure(read)).status).toBe(404);
    }
  });
});

describe('SQL metrics', () => {
  it('keep their text', async () => {
    const sql = `SELECT SUM(properties.tokens) AS value, properties.model FROM events
      WHERE event_type = 'completion' GROUP BY properties.model`;
    const { data } = await metronome.v1.billableMetrics.create({ name: 'Tokens', sql });
    const { data: read } = await metronome.v1.billableMetrics.retrieve({ billable_metric_id: data.id });
    expect(read).toEqual({ id: data.id, name: 'Tokens', sql, custom_fields: {} });
    expect(
      await refusal(metronome.v1.billableMetrics.create({ name: 'Bad', sql: 'drop table events' })),
    ).toMatch(/^400 Invalid 'sql': drop table is not supported/);
  });
});

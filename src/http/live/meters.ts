import { invalid } from '../../domain/errors.js';
import { changeDimensions, type MeterDimensions, readDimensions } from '../../metering/dimensions.js';
import { type Endpoint, endpoint, type JsonObject } from '../endpoint.js';
import { array, clearable, integer, object, text } from '../params.js';

const URL = '/live/v1/meters/:id';
const KEYS_MAX = 10;
const KEY_LENGTH_MAX = 100;
const VALUES_MAX = 100_000;
/** The names that grouping gives to something else. */
const RESERVED = 'customer';

const retrieve = endpoint({
  method: 'GET',
  path: URL,
  params: object({}),
  async handle({ q, accountId }, _params, { id = '' }) {
    return dimensionsObject(await readDimensions(q, accountId, id));
  },
});

const update = endpoint({
  method: 'POST',
  path: URL,
  params: object({
    dimension_values_max: integer({ min: 1, max: VALUES_MAX }).optional(),
    dimensions: clearable(array(text({ max: KEY_LENGTH_MAX }), { max: KEYS_MAX })).optional(),
  }),
  async handle({ q, accountId }, params, { id = '' }) {
    const keys = params.dimensions === null ? [] : params.dimensions;
    if (keys !== undefined) checkKeys(keys);
    const valuesMax = params.dimension_values_max;
    const dimensions = await changeDimensions(q, accountId, id, {
      ...(keys === undefined ? {} : { keys }),
      ...(valuesMax === undefined ? {} : { valuesMax }),
    });
    return dimensionsObject(dimensions);
  },
});

export const metersEndpoints: readonly Endpoint[] = [retrieve, update];

function checkKeys(keys: readonly string[]): void {
  const seen = new Set<string>();
  for (const [index, key] of keys.entries()) {
    const param = `dimensions[${index}]`;
    if (key === RESERVED) throw invalid(`A dimension cannot be called ${RESERVED}.`, { param });
    if (seen.has(key)) throw invalid(`The dimension ${key} is named twice.`, { param });
    seen.add(key);
  }
}

function dimensionsObject(dimensions: MeterDimensions): JsonObject {
  return {
    object: 'meter',
    id: dimensions.meterId,
    dimension_values_max: dimensions.valuesMax,
    dimensions: dimensions.keys,
    event_name: dimensions.eventName,
  };
}

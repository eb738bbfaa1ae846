import { z } from 'zod';
import type { MetadataUpdate } from '../billing/metadata.js';
import {
  type Codec,
  fail,
  isEmpty,
  isScalar,
  isStorable,
  type ParamFailure,
  paramDescriptions,
} from './codec.js';

const METADATA_KEY_LENGTH_MAX = 40;
const METADATA_VALUE_LENGTH_MAX = 500;

/** Stripe's metadata (docs.stripe.com/api/metadata): keys of at most 40 characters without brackets, values of 500. */
export function metadata(): Codec<MetadataUpdate> {
  const schema = z.any().transform((input: unknown, context): MetadataUpdate => {
    const result = readMetadata(input);
    if (!(result instanceof MetadataRefusal)) return result;
    context.addIssue({ code: 'custom', path: result.path, params: { failure: result.failure } });
    return z.NEVER;
  });
  paramDescriptions.add(schema, { kind: 'metadata', clearable: true });
  return schema;
}

class MetadataRefusal {
  readonly path: string[];
  readonly failure: ParamFailure;
  constructor(path: string[], failure: ParamFailure) {
    this.path = path;
    this.failure = failure;
  }
}

function readMetadata(input: unknown): MetadataUpdate | MetadataRefusal {
  if (isEmpty(input)) return null;
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return new MetadataRefusal(
      [],
      fail(null, () => 'Invalid object'),
    );
  }
  const update: Record<string, string | null> = {};
  for (const [key, value] of Object.entries(input)) {
    const failure = metadataFailure(key, value);
    if (failure !== null) return new MetadataRefusal([key], failure);
    update[key] = isEmpty(value) ? null : String(value);
  }
  return update;
}

function metadataFailure(key: string, value: unknown): ParamFailure | null {
  if (!isStorable(key) || (typeof value === 'string' && !isStorable(value))) {
    return fail(null, () => 'Metadata must be valid Unicode without NUL characters');
  }
  if (key === '' || /[[\]]/.test(key)) {
    return fail(null, () => 'Metadata keys must not be empty and must not contain square brackets');
  }
  if (key.length > METADATA_KEY_LENGTH_MAX) {
    return fail(null, () => `Metadata keys must have at most ${METADATA_KEY_LENGTH_MAX} characters`);
  }
  if (isEmpty(value)) return null;
  if (!isScalar(value)) return fail(null, () => 'Metadata values must be strings');
  if (String(value).length > METADATA_VALUE_LENGTH_MAX) {
    return fail(null, () => `Metadata values must have at most ${METADATA_VALUE_LENGTH_MAX} characters`);
  }
  return null;
}

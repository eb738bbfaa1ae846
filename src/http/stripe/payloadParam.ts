import { z } from 'zod';
import { type ParamFailure, paramDescriptions } from '../params.js';

/**
 * The payload of a meter event: a hash of texts. Numbers and booleans of a JSON body are taken as they are written.
 * How many keys there may be, and how long, is for the ingest to say.
 */
export function payloadParam(): z.ZodType<Record<string, string>> {
  const schema = z.any().transform((input: unknown, context): Record<string, string> => {
    const refuse = (path: string[], failure: ParamFailure): Record<string, string> => {
      context.addIssue({ code: 'custom', path, params: { failure } });
      return z.NEVER;
    };
    if (input === undefined) {
      return refuse([], {
        code: 'parameter_missing',
        message: (param) => `Missing required param: ${param}.`,
      });
    }
    if (typeof input !== 'object' || input === null || Array.isArray(input)) {
      return refuse([], { message: () => 'Invalid object' });
    }
    const payload: [string, string][] = [];
    for (const [key, value] of Object.entries(input)) {
      if (!['string', 'number', 'boolean'].includes(typeof value)) {
        return refuse([key], { message: () => 'Invalid string: the values of a payload must be strings' });
      }
      payload.push([key, String(value)]);
    }
    return Object.fromEntries(payload);
  });
  paramDescriptions.add(schema, { kind: 'metadata' });
  return schema;
}

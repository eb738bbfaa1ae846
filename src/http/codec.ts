import { z } from 'zod';

/** The machinery of the codecs: see params.ts for what they promise. */

/** What a codec accepts, for the contract test, the compatibility table and the API description. */
export interface ParamDescription {
  kind: 'text' | 'integer' | 'decimal' | 'boolean' | 'instant' | 'enum' | 'metadata' | 'range';
  values?: readonly string[];
  /** Values of Stripe's that are refused by name. */
  unsupportedValues?: readonly string[];
  /** A word that stands beside the codec's own values, for example `inf`. */
  words?: readonly string[];
  clearable?: boolean;
}

/** The descriptions of codecs, by schema; see `describeParam`. */
export const paramDescriptions = z.registry<ParamDescription>();

/** The code, and the message as a function of the parameter's bracketed name. Carried inside a zod issue. */
export interface ParamFailure {
  code?: string;
  message: (param: string) => string;
}

export type Codec<T> = z.ZodType<T>;
type Scalar = string | number | boolean | bigint;

export const fail = (code: string | null, message: ParamFailure['message']): ParamFailure =>
  code === null ? { message } : { code, message };

export const emptyValue = fail(
  'parameter_invalid_empty',
  (param) =>
    `You passed an empty string for '${param}'. We assume empty values are an attempt to unset a parameter; ` +
    `however '${param}' cannot be unset. You should remove '${param}' from your request or supply a ` +
    'non-empty value.',
);

export class Refusal {
  readonly failure: ParamFailure;
  constructor(failure: ParamFailure) {
    this.failure = failure;
  }
}

export const refuse = (code: string | null, message: ParamFailure['message']): Refusal =>
  new Refusal(fail(code, message));

export const MISSING = new Refusal(fail('parameter_missing', (param) => `Missing required param: ${param}.`));

/** A codec from a function that returns the value or a failure made by `refuse`. */
export function codec<T>(description: ParamDescription, read: (input: unknown) => T | Refusal): Codec<T> {
  const schema = z.any().transform((input: unknown, context): T => {
    const result = input === undefined ? MISSING : isEmpty(input) ? new Refusal(emptyValue) : read(input);
    if (!(result instanceof Refusal)) return result;
    context.addIssue({ code: 'custom', params: { failure: result.failure } });
    return z.NEVER;
  });
  paramDescriptions.add(schema, description);
  return schema;
}

/** Parses with an inner schema; its issues go to the outer context with their paths, missing values marked as such. */
export function relay<T>(inner: Codec<T>, input: unknown, context: z.RefinementCtx): T {
  const parsed = inner.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    if (issue.code === 'invalid_type' && issue.input === undefined) {
      context.addIssue({ code: 'custom', path: [...issue.path], params: { failure: MISSING.failure } });
    } else {
      // Found by another schema, so with a message already: it's carried on as it is, path and all.
      context.addIssue({ ...issue });
    }
  }
  return z.NEVER;
}

export function isEmpty(input: unknown): boolean {
  return input === '' || input === null;
}

export function isScalar(input: unknown): input is Scalar {
  return ['string', 'number', 'boolean'].includes(typeof input);
}

/** Postgres stores neither NUL characters nor halves of surrogate pairs. */
export function isStorable(value: string): boolean {
  return !/[\u0000\p{Surrogate}]/u.test(value);
}

/** A caller's value inside a message: short, on one line. */
export function shown(input: unknown): string {
  const value = isScalar(input) ? String(input) : Array.isArray(input) ? '[…]' : '{…}';
  const line = value.replace(/[\u0000-\u001f\u007f]/g, ' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

/** What `clearable` and `array` wrap, for those who describe schemas. */
export const clearableInners = new WeakMap<z.ZodType, z.ZodType>();
export const arrayItems = new WeakMap<z.ZodType, z.ZodType>();

/** A word of Stripe's that is refused by name. */
export function unsupportedWord(word: string): ParamFailure {
  return fail(
    'parameter_unsupported',
    (param) => `Unsupported ${param}: Durabill knows \`${word}\` but does not support it yet.`,
  );
}

import type { z } from 'zod';
import { invalid } from '../domain/errors.js';
import type { BillingError } from '../domain/errors.js';
import type { Endpoint } from './endpoint.js';
import type { ParamFailure } from './params.js';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

interface Problem {
  rank: number;
  depth: number;
  error: BillingError;
}

const RANK = { unknown: 0, missing: 1, invalid: 2 };

/**
 * The typed parameters of a request. Throws the first problem in Stripe's words: unknown parameters before missing
 * ones before invalid ones, the outermost and the earliest declared first.
 */
export function validateParams(endpoint: Endpoint, input: unknown): Record<string, unknown> {
  const parsed = endpoint.params.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw firstProblem(parsed.error.issues, endpoint.unsupported);
}

/** The paths of `expand[]`, which every endpoint takes. */
export function validateExpand(schema: z.ZodType<string[]>, input: unknown): string[] {
  const parsed = schema.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw firstProblem(
    parsed.error.issues.map((issue) => ({ ...issue, path: ['expand', ...issue.path] })),
    [],
  );
}

function firstProblem(issues: readonly Issue[], unsupported: readonly string[]): BillingError {
  let first: Problem | null = null;
  for (const issue of issues) {
    const problem = problemOf(issue, unsupported);
    if (first === null || isBefore(problem, first)) first = problem;
  }
  if (first === null) throw new Error('zod refused the parameters without an issue');
  return first.error;
}

function isBefore(a: Problem, b: Problem): boolean {
  return a.rank !== b.rank ? a.rank < b.rank : a.rank === RANK.unknown && a.depth < b.depth;
}

function problemOf(issue: Issue, unsupported: readonly string[]): Problem {
  if (issue.code === 'unrecognized_keys') {
    const path = [...issue.path, issue.keys[0] ?? ''];
    return { rank: RANK.unknown, depth: path.length, error: unknownParam(path, unsupported) };
  }
  const failure = failureOf(issue);
  const param = bracketed(issue.path);
  const error = invalid(failure.message(param), {
    ...(failure.code === undefined ? {} : { code: failure.code }),
    ...(param === '' ? {} : { param }),
  });
  const rank = failure.code === 'parameter_missing' ? RANK.missing : RANK.invalid;
  return { rank, depth: issue.path.length, error };
}

function unknownParam(path: Path, unsupported: readonly string[]): BillingError {
  const param = bracketed(path);
  if (unsupported.includes(patternOf(path))) {
    const message = `Unsupported parameter: ${param}. Durabill knows it but does not support it yet.`;
    return invalid(message, { code: 'parameter_unsupported', param });
  }
  return invalid(`Received unknown parameter: ${param}`, { code: 'parameter_unknown', param });
}

function failureOf(issue: Issue): ParamFailure {
  if (issue.code === 'custom') {
    const failure = issue.params?.['failure'] as ParamFailure | undefined;
    return failure ?? { message: () => issue.message };
  }
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined) {
      return { code: 'parameter_missing', message: (param) => `Missing required param: ${param}.` };
    }
    return { message: () => (issue.expected === 'array' ? 'Invalid array' : 'Invalid object') };
  }
  if (issue.code === 'too_big') {
    return { message: (param) => `Array ${param} exceeded maximum ${issue.maximum} allowed elements.` };
  }
  return { message: (param) => `Invalid ${param}: ${issue.message}` };
}

/** `['items', 0, 'price']` → `items[0][price]`. */
export function bracketed(path: Path): string {
  return path.map((part, index) => (index === 0 ? String(part) : `[${String(part)}]`)).join('');
}

/** `['items', 0, 'discounts']` → `items[].discounts`, the way `unsupported` names nested parameters. */
function patternOf(path: Path): string {
  let pattern = '';
  for (const part of path) {
    if (typeof part === 'number') pattern += '[]';
    else pattern += pattern === '' ? String(part) : `.${String(part)}`;
  }
  return pattern;
}

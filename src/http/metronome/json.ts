import { randomBytes } from 'node:crypto';
import { invalid } from '../../domain/errors.js';
import { JsonNumber } from '../../json.js';

/** A parsed request: a number that a double cannot hold exactly is a JsonNumber, every other one a number. */
export type ExactJson =
  | string
  | number
  | JsonNumber
  | boolean
  | null
  | ExactJson[]
  | { [key: string]: ExactJson };

const DEPTH_MAX = 32;
/** Up to this many digits a double gives back the decimal that it was read from. */
const EXACT_DIGITS = 15;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** Unguessable, so that no string of a caller's is taken for a number. */
const MARK = `\u0001${randomBytes(12).toString('hex')}`;

/**
 * JSON with every number exact. Refuses (`invalid`) what is no JSON, nested more than 32 levels deep, or carries
 * text that Postgres cannot store (NUL characters, halves of surrogate pairs). The text itself is valid Unicode.
 */
export function parseJsonExact(text: string): ExactJson {
  let value: ExactJson;
  try {
    value = mayBeInexact(text) ? parseMarked(text) : (JSON.parse(text) as ExactJson);
  } catch {
    throw invalid('Invalid request: the body is not valid JSON.');
  }
  checkTree(value, 1, text.includes('\\u'));
  return value;
}

/** A quick look that never misses a long number or an exponent; a string can set it off too. */
function mayBeInexact(text: string): boolean {
  return /(?:^|[:,[])\s*-?(?:[\d.]{16}|[\d.]+[eE])/.test(text);
}

function parseMarked(text: string): ExactJson {
  const marked = text.replace(TOKEN, (token) =>
    token.startsWith('"') || isExactDouble(token) || !NUMBER.test(token)
      ? token
      : JSON.stringify(MARK + token),
  );
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(MARK) ? new JsonNumber(value.slice(MARK.length)) : value,
  ) as ExactJson;
}

function isExactDouble(token: string): boolean {
  return !/[eE]/.test(token) && token.replace(/[^\d]/g, '').length <= EXACT_DIGITS;
}

/** Bodies are valid UTF-8: only an escape can bring in text that cannot be stored. */
function checkTree(value: ExactJson, depth: number, hasEscapes: boolean): void {
  if (typeof value === 'string') {
    if (hasEscapes) checkText(value);
    return;
  }
  if (typeof value !== 'object' || value === null || value instanceof JsonNumber) return;
  if (depth > DEPTH_MAX) {
    throw invalid(`Invalid request: the body is nested more than ${DEPTH_MAX} levels deep.`);
  }
  if (Array.isArray(value)) {
    for (const item of value) checkTree(item, depth + 1, hasEscapes);
    return;
  }
  for (const key of Object.keys(value)) {
    if (key === '__proto__') throw invalid(`Invalid request: unknown field '${key}'.`);
    if (hasEscapes) checkText(key);
    checkTree(value[key] ?? null, depth + 1, hasEscapes);
  }
}

function checkText(text: string): void {
  if (/[\u0000\p{Surrogate}]/u.test(text)) {
    throw invalid('Invalid request: texts must be valid Unicode without NUL characters.');
  }
}

import { type Decimal, toText } from './domain/decimal.js';

/** A number of any size and precision, by its JSON text. */
export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** JSON that is written already, by `toJsonText`. */
export class JsonText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** The decimal as a JSON number with every digit; for Metronome's amounts. */
export function jsonNumber(value: Decimal): JsonNumber {
  return new JsonNumber(toText(value));
}

/**
 * What JSON can carry. A bigint is written as a whole number with every digit. Prices and quantities are strings.
 * A property whose value is undefined is left out.
 */
export type JsonValue =
  | string
  | number
  | bigint
  | JsonNumber
  | JsonText
  | boolean
  | null
  | undefined
  | readonly JsonValue[]
  | JsonObject;

export type JsonObject = { readonly [key: string]: JsonValue };

/** JSON text of a value, like JSON.stringify, but exact for bigints and JsonNumbers of any size. */
export function toJsonText(value: JsonValue): string {
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'undefined':
      return 'null';
    case 'object':
      break;
    case 'string':
      return stringText(value);
    default:
      return JSON.stringify(value);
  }
  if (value === null) return 'null';
  if (value instanceof JsonNumber || value instanceof JsonText) return value.text;
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(toJsonText).join(',')}]`;
  // Joined, which makes one flat text: adding up makes a tree of them, which costs more to write out than to make.
  const parts: string[] = [];
  for (const key of Object.keys(value)) {
    const property = (value as JsonObject)[key];
    if (property === undefined) continue;
    parts.push(keyText(key) + toJsonText(property));
  }
  return `{${parts.join(',')}}`;
}

/** Property names come again and again; those of callers' objects may be any, so only so many are kept. */
const keyTexts = new Map<string, string>();
const KEY_TEXTS_MAX = 2_000;

function keyText(key: string): string {
  const known = keyTexts.get(key);
  if (known !== undefined) return known;
  const text = `${stringText(key)}:`;
  if (keyTexts.size < KEY_TEXTS_MAX) keyTexts.set(key, text);
  return text;
}

const NOTHING_TO_ESCAPE = /^[ !#-[\]-~]*$/;

/** Nearly every string needs no escapes, and finding that out costs a third of JSON.stringify. */
function stringText(value: string): string {
  return NOTHING_TO_ESCAPE.test(value) ? `"${value}"` : JSON.stringify(value);
}

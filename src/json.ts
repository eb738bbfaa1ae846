import { type Decimal, toText } from './domain/decimal.js';

/** A number of any size and precision, by its JSON text. */
export class JsonNumber {
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
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(toJsonText).join(',')}]`;
  let text = '';
  for (const key of Object.keys(value)) {
    const property = (value as JsonObject)[key];
    if (property === undefined) continue;
    text += `${text === '' ? '' : ','}${stringText(key)}:${toJsonText(property)}`;
  }
  return `{${text}}`;
}

const NOTHING_TO_ESCAPE = /^[ !#-[\]-~]*$/;

/** Nearly every string needs no escapes, and finding that out costs a third of JSON.stringify. */
function stringText(value: string): string {
  return NOTHING_TO_ESCAPE.test(value) ? `"${value}"` : JSON.stringify(value);
}

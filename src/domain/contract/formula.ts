import {
  add,
  compare,
  type Decimal,
  DecimalFormatError,
  decimalFromBigint,
  divide,
  isZero,
  max,
  min,
  multiply,
  negate,
  parseDecimal,
  roundToInteger,
  roundToScale,
  subtract,
  toText,
} from '../decimal.js';
import { propertyText } from './event.js';
import type { MeteredEvent } from './metric.js';
import { DIVISION_PLACES } from './quantity.js';

/** What stands between values: a word of SQL for each. */
export type FormulaOperation =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'negate'
  | 'least'
  | 'greatest'
  | 'ceil'
  | 'floor'
  | 'number'
  | 'integer'
  | 'text'
  | 'equal'
  | 'less'
  | 'and'
  | 'or'
  | 'not'
  | 'is_null'
  | 'coalesce'
  | 'case';

/**
 * An expression of a SQL metric. Plain JSON, since it is stored so: numbers are texts and stay exact. The operands have
 * the kinds that their operation needs; whoever makes a formula sees to that.
 */
export type Formula =
  | { op: 'null' | 'event_type' }
  | { op: 'boolean'; value: boolean }
  | { op: 'literal_number' | 'literal_text'; text: string }
  | { op: 'property'; name: string }
  /** Of the aggregates beside the formula. */
  | { op: 'aggregate'; index: number }
  /** Half away from zero. */
  | { op: 'round'; of: Formula; places: number }
  /** `case` takes condition, value, …, and the value of the rest. */
  | { op: FormulaOperation; of: Formula[] };

export type FormulaValue = Decimal | string | boolean | null;

/** Where a formula finds its values: an event within aggregates, their results around them. */
export interface FormulaScope {
  event?: MeteredEvent;
  aggregates?: readonly (Decimal | null)[];
}

/** From here on a value is taken for no number; it keeps sums within what is stored. */
const VALUE_MAX = decimalFromBigint(10n ** 30n);

/**
 * The value as SQL has it, exactly: null where something is missing, no number, or divided by zero; a division that
 * does not come out has 20 decimal places.
 */
export function evaluate(formula: Formula, scope: FormulaScope): FormulaValue {
  switch (formula.op) {
    case 'null':
      return null;
    case 'event_type':
      return scope.event?.eventType ?? null;
    case 'boolean':
      return formula.value;
    case 'literal_number':
      return parseDecimal(formula.text);
    case 'literal_text':
      return formula.text;
    case 'property':
      return scope.event === undefined ? null : propertyText(scope.event, formula.name);
    case 'aggregate':
      return scope.aggregates?.[formula.index] ?? null;
    case 'round': {
      const value = evaluateNumber(formula.of, scope);
      return value && roundToScale(value, formula.places, 'half_away_from_zero');
    }
    default:
      return operate(formula.op, formula.of, scope);
  }
}

/** Null for anything but a number. */
export function evaluateNumber(formula: Formula, scope: FormulaScope): Decimal | null {
  const value = evaluate(formula, scope);
  return typeof value === 'object' ? value : null;
}

/** Whether the condition holds for the event; what is null does not. */
export function holds(condition: Formula, event: MeteredEvent): boolean {
  return evaluate(condition, { event }) === true;
}

/** What an event gives to an aggregate of numbers: to 20 decimal places, null from 10³⁰ on. */
export function eventNumber(argument: Formula, event: MeteredEvent): Decimal | null {
  const value = evaluateNumber(argument, { event });
  if (value === null) return null;
  if (compare(value, VALUE_MAX) >= 0 || compare(negate(value), VALUE_MAX) >= 0) return null;
  return roundToScale(value, DIVISION_PLACES, 'half_away_from_zero');
}

/** What an event gives to a count of distinct texts. */
export function eventText(argument: Formula, event: MeteredEvent): string | null {
  const value = evaluate(argument, { event });
  return value === null ? null : textOf(value);
}

function textOf(value: Decimal | string | boolean): string {
  return typeof value === 'object' ? toText(value) : String(value);
}

function operate(op: FormulaOperation, of: readonly Formula[], scope: FormulaScope): FormulaValue {
  switch (op) {
    case 'and':
      return logical(of, scope, false);
    case 'or':
      return logical(of, scope, true);
    case 'case':
      return chosen(of, scope);
    case 'coalesce':
      return firstValue(of, scope);
    case 'is_null':
      return of.every((one) => evaluate(one, scope) === null);
    case 'least':
    case 'greatest': {
      const values = of.map((one) => evaluateNumber(one, scope)).filter((value) => value !== null);
      const [first, ...rest] = values;
      return first === undefined ? null : rest.reduce(op === 'least' ? min : max, first);
    }
    default:
      return strict(op, of, scope);
  }
}

/** SQL's three values: one that decides wins, then null. */
function logical(of: readonly Formula[], scope: FormulaScope, deciding: boolean): boolean | null {
  let isKnown = true;
  for (const one of of) {
    const value = evaluate(one, scope);
    if (value === deciding) return deciding;
    if (typeof value !== 'boolean') isKnown = false;
  }
  return isKnown ? !deciding : null;
}

function chosen(of: readonly Formula[], scope: FormulaScope): FormulaValue {
  for (let index = 0; index + 1 < of.length; index += 2) {
    const [condition, value] = [of[index], of[index + 1]];
    if (condition !== undefined && value !== undefined && evaluate(condition, scope) === true) {
      return evaluate(value, scope);
    }
  }
  const rest = of.length % 2 === 1 ? of.at(-1) : undefined;
  return rest === undefined ? null : evaluate(rest, scope);
}

function firstValue(of: readonly Formula[], scope: FormulaScope): FormulaValue {
  for (const one of of) {
    const value = evaluate(one, scope);
    if (value !== null) return value;
  }
  return null;
}

/** The operations that are null as soon as an operand is. */
function strict(op: FormulaOperation, of: readonly Formula[], scope: FormulaScope): FormulaValue {
  const values = of.map((one) => evaluate(one, scope));
  const [left = null, right = null] = values;
  if (values.includes(null) || left === null) return null;
  switch (op) {
    case 'not':
      return typeof left === 'boolean' ? !left : null;
    case 'text':
      return textOf(left);
    case 'number':
      return asNumber(left);
    case 'integer': {
      const value = asNumber(left);
      return value && decimalFromBigint(roundToInteger(value, 'half_away_from_zero'));
    }
    case 'equal':
      if (right === null) return null;
      return typeof left === 'object' && typeof right === 'object'
        ? compare(left, right) === 0
        : textOf(left) === textOf(right);
    default:
      return typeof left === 'object' ? arithmetic(op, left, right) : null;
  }
}

function arithmetic(op: FormulaOperation, left: Decimal, right: FormulaValue): FormulaValue {
  if (op === 'negate') return negate(left);
  if (op === 'ceil') return decimalFromBigint(roundToInteger(left, 'ceiling'));
  if (op === 'floor') return decimalFromBigint(roundToInteger(left, 'floor'));
  if (right === null || typeof right !== 'object') return null;
  switch (op) {
    case 'add':
      return add(left, right);
    case 'subtract':
      return subtract(left, right);
    case 'multiply':
      return multiply(left, right);
    case 'divide':
      return isZero(right) ? null : divide(left, right, DIVISION_PLACES, 'half_away_from_zero');
    case 'less':
      return compare(left, right) < 0;
    default:
      throw new RangeError(`Not an operation on two numbers: ${op}`);
  }
}

function asNumber(value: Decimal | string | boolean): Decimal | null {
  if (typeof value === 'object') return value;
  if (typeof value === 'boolean') return null;
  try {
    return parseDecimal(value);
  } catch (error) {
    if (error instanceof DecimalFormatError) return null;
    throw error;
  }
}

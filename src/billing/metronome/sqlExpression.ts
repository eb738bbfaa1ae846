import type { Expr, ExprCall, ExprCase } from 'pgsql-ast-parser';
import type { Formula, FormulaOperation } from '../../domain/contract/formula.js';
import { invalid } from '../../domain/errors.js';

const SUBSET =
  'Durabill takes one SELECT of an expression over COUNT, SUM, AVG, MIN, MAX, EARLIEST and LATEST FROM events, with ' +
  'conditions on event_type and properties.x in WHERE, and GROUP BY properties';

/** The refusal of a construct, by its name. */
export function refused(what: string): Error {
  return invalid(`Invalid 'sql': ${what} is not supported. ${SUBSET}.`);
}

/** Where an expression stands. */
export interface SqlContext {
  /** The whole text: the parser reads numbers as doubles, so their digits are taken from here. */
  sql: string;
  /** Translates an aggregate; null where there can be none, which `place` names. */
  aggregate: ((call: ExprCall) => Formula) | null;
  place: 'WHERE' | 'an aggregate' | 'the value';
}

export const AGGREGATES = ['count', 'sum', 'avg', 'min', 'max', 'earliest', 'latest'];

const NUMBER_TYPES = ['numeric', 'decimal', 'double', 'double precision', 'float', 'real'];
const INTEGER_TYPES = ['integer', 'int', 'bigint', 'smallint', 'int2', 'int4', 'int8'];
const TEXT_TYPES = ['text', 'varchar'];
const ARITHMETIC: Readonly<Record<string, FormulaOperation>> = {
  '+': 'add',
  '-': 'subtract',
  '*': 'multiply',
  '/': 'divide',
};
const NUMBER_FUNCTIONS: Readonly<Record<string, FormulaOperation>> = {
  coalesce: 'coalesce',
  least: 'least',
  greatest: 'greatest',
  ceil: 'ceil',
  ceiling: 'ceil',
  floor: 'floor',
};
const ROUND_PLACES_MAX = 20;
const DEPTH_MAX = 200;

/** Translates an expression where a number is needed. Throws `invalid` for anything outside of the subset, by name. */
export function numberOf(expression: Expr, context: SqlContext): Formula {
  switch (expression.type) {
    case 'integer':
    case 'numeric':
      return { op: 'literal_number', text: sourceOf(expression, context) };
    case 'null':
      return { op: 'null' };
    case 'ref':
      return { op: 'number', of: [property(expression, context)] };
    case 'cast':
      return castOf(expression, context);
    case 'case':
      return caseOf(expression, context, numberOf);
    case 'call':
      return callOf(expression, context);
    case 'unary':
      if (expression.op === '-') return { op: 'negate', of: [numberOf(expression.operand, context)] };
      if (expression.op === '+') return numberOf(expression.operand, context);
      throw refused(`${expression.op} where a number is needed`);
    case 'binary': {
      const op = ARITHMETIC[expression.op];
      if (op === undefined) throw refused(`the operator ${expression.op} where a number is needed`);
      return { op, of: [numberOf(expression.left, context), numberOf(expression.right, context)] };
    }
    case 'string':
      throw refused(`the text '${expression.value}' where a number is needed`);
    default:
      throw refused(`${nameOf(expression)} where a number is needed`);
  }
}

/** Translates an expression that may be a text: what is compared for equality or counted as distinct. */
export function scalarOf(expression: Expr, context: SqlContext): Formula {
  if (!isText(expression)) return numberOf(expression, context);
  switch (expression.type) {
    case 'string':
      return { op: 'literal_text', text: expression.value };
    case 'ref':
      if (expression.table === undefined && expression.name === 'event_type') return { op: 'event_type' };
      return property(expression, context);
    case 'cast':
      return { op: 'text', of: [scalarOf(expression.operand, context)] };
    case 'case':
      return caseOf(expression, context, scalarOf);
    case 'call':
      return { op: 'coalesce', of: expression.args.map((one) => scalarOf(one, context)) };
    default:
      throw refused(nameOf(expression));
  }
}

function isText(expression: Expr): boolean {
  switch (expression.type) {
    case 'string':
    case 'ref':
      return true;
    case 'cast':
      return TEXT_TYPES.includes(typeOf(expression.to));
    case 'case': {
      const values = [...expression.whens.map(({ value }) => value), expression.else];
      return values.every((value) => value == null || isText(value));
    }
    case 'call':
      return expression.function.name === 'coalesce' && expression.args.every(isText);
    default:
      return false;
  }
}

/** Translates a condition: of WHERE, or of a CASE. */
export function conditionOf(expression: Expr, context: SqlContext): Formula {
  if (expression.type === 'boolean') return { op: 'boolean', value: expression.value };
  if (expression.type === 'ternary') {
    const { value, lo, hi } = expression;
    const inside: Formula = {
      op: 'and',
      of: [compared('>=', value, lo, context), compared('<=', value, hi, context)],
    };
    return expression.op === 'BETWEEN' ? inside : not(inside);
  }
  if (expression.type === 'unary') return unaryCondition(expression, context);
  if (expression.type !== 'binary') throw refused(`${nameOf(expression)} as a condition`);
  const { op, left, right } = expression;
  switch (op) {
    case 'AND':
    case 'OR':
      return {
        op: op === 'AND' ? 'and' : 'or',
        of: [conditionOf(left, context), conditionOf(right, context)],
      };
    case 'IN':
    case 'NOT IN': {
      const values = right.type === 'list' ? right.expressions : [right];
      const any: Formula = { op: 'or', of: values.map((one) => compared('=', left, one, context)) };
      return op === 'IN' ? any : not(any);
    }
    default:
      return compared(op, left, right, context);
  }
}

function unaryCondition(expression: Extract<Expr, { type: 'unary' }>, context: SqlContext): Formula {
  const { op, operand } = expression;
  switch (op) {
    case 'NOT':
      return not(conditionOf(operand, context));
    case 'IS NULL':
      return { op: 'is_null', of: [scalarOf(operand, context)] };
    case 'IS NOT NULL':
      return not({ op: 'is_null', of: [scalarOf(operand, context)] });
    default:
      throw refused(`the operator ${op}`);
  }
}

/** Texts are equal or not; only numbers have an order. */
function compared(op: string, left: Expr, right: Expr, context: SqlContext): Formula {
  const less = (a: Expr, b: Expr): Formula => ({
    op: 'less',
    of: [numberOf(a, context), numberOf(b, context)],
  });
  switch (op) {
    case '=':
      return equal(left, right, context);
    case '!=':
      return not(equal(left, right, context));
    case '<':
      return less(left, right);
    case '>':
      return less(right, left);
    case '<=':
      return not(less(right, left));
    case '>=':
      return not(less(left, right));
    default:
      throw refused(`the operator ${op}`);
  }
}

function equal(left: Expr, right: Expr, context: SqlContext): Formula {
  const translate = isText(left) && isText(right) ? scalarOf : numberOf;
  return { op: 'equal', of: [translate(left, context), translate(right, context)] };
}

function not(condition: Formula): Formula {
  return { op: 'not', of: [condition] };
}

function caseOf(
  { value, whens, else: rest }: ExprCase,
  context: SqlContext,
  branch: (expression: Expr, context: SqlContext) => Formula,
): Formula {
  const of = whens.flatMap((when) => [
    value == null ? conditionOf(when.when, context) : equal(value, when.when, context),
    branch(when.value, context),
  ]);
  return { op: 'case', of: [...of, rest == null ? { op: 'null' } : branch(rest, context)] };
}

function callOf(call: ExprCall, context: SqlContext): Formula {
  const name = call.function.name.toLowerCase();
  if (call.function.schema !== undefined) throw refused(`the schema ${call.function.schema}`);
  if (AGGREGATES.includes(name)) {
    if (context.aggregate === null) throw refused(`${name.toUpperCase()} in ${context.place}`);
    return context.aggregate(call);
  }
  refuseOthers(call, ['type', 'function', 'args']);
  const { args } = call;
  if (name === 'round') return roundOf(args, context);
  const op = NUMBER_FUNCTIONS[name];
  if (op === undefined) throw refused(`the function ${name.toUpperCase()}`);
  const wantsOne = op === 'ceil' || op === 'floor';
  if (args.length === 0 || (wantsOne && args.length > 1)) {
    throw refused(`${name.toUpperCase()} of ${args.length} arguments`);
  }
  return { op, of: args.map((one) => numberOf(one, context)) };
}

function roundOf([of, places, ...more]: readonly Expr[], context: SqlContext): Formula {
  if (of === undefined || more.length > 0) throw refused('ROUND of other than one or two arguments');
  const count = places === undefined ? 0 : places.type === 'integer' ? places.value : -1;
  if (count < 0 || count > ROUND_PLACES_MAX) {
    throw refused(`ROUND to anything but 0 to ${ROUND_PLACES_MAX} decimal places`);
  }
  return { op: 'round', of: numberOf(of, context), places: count };
}

/** Metered values are exact decimals, whatever type of number is named; integers are rounded, halves away from zero. */
function castOf(expression: Extract<Expr, { type: 'cast' }>, context: SqlContext): Formula {
  const type = typeOf(expression.to);
  if ('config' in expression.to) {
    throw refused(`a cast to ${type} of a certain size`);
  }
  const isInteger = INTEGER_TYPES.includes(type);
  if (!isInteger && !NUMBER_TYPES.includes(type)) throw refused(`a cast to ${type} where a number is needed`);
  const of = scalarOf(expression.operand, context);
  if (!isInteger && (of.op === 'number' || of.op === 'literal_number')) return of;
  return { op: isInteger ? 'integer' : 'number', of: [of] };
}

function typeOf(to: Extract<Expr, { type: 'cast' }>['to']): string {
  return 'name' in to ? to.name.toLowerCase() : 'an array';
}

/** `properties.x`. */
function property(expression: Extract<Expr, { type: 'ref' }>, { place }: SqlContext): Formula {
  const { table, name } = expression;
  if (table?.name.toLowerCase() !== 'properties' || name === '*') {
    throw refused(`the column ${table === undefined ? name : `${table.name}.${name}`} in ${place}`);
  }
  if (place === 'the value') throw refused(`the property ${name} outside of an aggregate`);
  return { op: 'property', name };
}

function sourceOf(expression: Expr, { sql }: SqlContext): string {
  const { _location: location } = expression as { _location?: { start: number; end: number } };
  if (location === undefined) throw new Error('the parser tracks no locations');
  return sql.slice(location.start, location.end);
}

function nameOf(expression: Expr): string {
  const { type } = expression;
  return type === 'boolean' ? 'a truth value' : type.toUpperCase();
}

/** Refuses what a node says beside the known parts, by name, so that nothing is left out silently. */
export function refuseOthers(node: object, known: readonly string[]): void {
  const other = Object.entries(node).find(
    ([key, value]) => Boolean(value) && key !== '_location' && !known.includes(key),
  );
  if (other !== undefined) throw refused(other[0].replace(/[A-Z]/g, (letter) => ` ${letter}`).toUpperCase());
}

/** An expression within thousands of others would be more than the stack holds. */
export function refuseDeep(node: object): void {
  let level: object[] = [node];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > DEPTH_MAX) throw refused(`an expression nested more than ${DEPTH_MAX} levels deep`);
    level = level.flatMap((one) =>
      Object.values(one).filter((value): value is object => typeof value === 'object' && value !== null),
    );
  }
}

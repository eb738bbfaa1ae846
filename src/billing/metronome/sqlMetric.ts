import { type Expr, type ExprCall, parse, type SelectFromStatement, type Statement } from 'pgsql-ast-parser';
import type { Aggregation, FormulaPart } from '../../domain/contract/aggregation.js';
import type { Formula } from '../../domain/contract/formula.js';
import type { EventTypeFilter, PropertyFilter } from '../../domain/contract/metric.js';
import { invalid } from '../../domain/errors.js';
import {
  conditionOf,
  numberOf,
  refused,
  refuseDeep,
  refuseOthers,
  scalarOf,
  type SqlContext,
} from './sqlExpression.js';

/** What a SQL metric says, in the terms of every other metric. */
export interface SqlRules {
  aggregation: Aggregation;
  aggregationKey: string | null;
  eventTypeFilter: EventTypeFilter | null;
  propertyFilters: PropertyFilter[];
  /** What WHERE asks beyond filters. */
  condition: Formula | null;
  groupKeys: string[][];
  rowKey?: string[];
}

/**
 * Reads a SQL metric (docs.metronome.com, "billable metrics SQL editor"). The text is parsed and translated, never
 * run: what is outside of the subset is refused (`invalid`) by name.
 */
export function readSqlMetric(sql: string): SqlRules {
  const select = selectOf(sql);
  refuseClauses(select);
  refuseDeep(select);
  const groups = [...new Set((select.groupBy ?? []).map(groupOf))];
  const value = valueColumn(select, groups);
  const filters: Filters = { eventType: null, properties: [], conditions: [] };
  if (select.where) addCondition(select.where, filters, sql);
  const rules = aggregateOf(value, sql);
  return {
    ...rules,
    eventTypeFilter: filters.eventType,
    propertyFilters: filters.properties,
    condition: filters.conditions.length === 0 ? null : { op: 'and', of: filters.conditions },
    groupKeys: groups.length === 0 ? [] : [groups],
    ...(groups.length === 0 || addsUp(rules.aggregation) ? {} : { rowKey: groups }),
  };
}

interface Filters {
  eventType: EventTypeFilter | null;
  properties: PropertyFilter[];
  conditions: Formula[];
}

function selectOf(sql: string): SelectFromStatement {
  let statements: Statement[];
  try {
    statements = parse(sql, { locationTracking: true });
  } catch (error) {
    const [line = ''] = error instanceof Error ? error.message.split('\n') : [];
    throw invalid(`Invalid 'sql': cannot be parsed (${line}).`);
  }
  const [statement] = statements;
  if (statements.length !== 1 || statement === undefined) throw refused('more than one statement');
  if (statement.type !== 'select') throw refused(statement.type);
  return statement;
}

/** Clauses that are not known are refused, so that none is left out of the metric silently. */
function refuseClauses(select: SelectFromStatement): void {
  refuseOthers(select, ['type', 'columns', 'from', 'where', 'groupBy']);
  const from = select.from ?? [];
  const [table] = from;
  if (from.length !== 1 || table?.type !== 'table') throw refused('another FROM than the table events');
  refuseOthers(table, ['type', 'name']);
  const { name, schema, alias } = table.name;
  if (name.toLowerCase() !== 'events' || schema !== undefined) throw refused(`the table ${name}`);
  if (alias !== undefined && alias !== 'events') throw refused('an alias of the table');
}

/** The column named `value`, else the first; every other one must be grouped by. */
function valueColumn(select: SelectFromStatement, groups: readonly string[]): Expr {
  const columns = select.columns ?? [];
  const named = columns.findIndex(({ alias }) => alias?.name.toLowerCase() === 'value');
  const position = named < 0 ? 0 : named;
  const value = columns[position];
  if (value === undefined) throw refused('a SELECT of nothing');
  for (const [index, column] of columns.entries()) {
    if (index === position) continue;
    const property = propertyName(column.expr);
    if (property === null) throw refused('a column besides the value that is no property');
    if (!groups.includes(property)) throw refused(`the column ${property} without GROUP BY`);
  }
  return value.expr;
}

/** Aggregates around which the value is computed; those that say the same are one. */
function aggregateOf(value: Expr, sql: string): Pick<SqlRules, 'aggregation' | 'aggregationKey'> {
  const parts: FormulaPart[] = [];
  const aggregate = (type: FormulaPart['type'], argument: Formula | null): Formula => {
    const text = JSON.stringify([type, argument]);
    const known = parts.findIndex((part) => JSON.stringify([part.type, part.argument]) === text);
    if (known < 0) parts.push({ type, argument });
    return { op: 'aggregate', index: known < 0 ? parts.length - 1 : known };
  };
  const outside: SqlContext = {
    sql,
    place: 'the value',
    aggregate: (call) => aggregateCall(call, sql, aggregate),
  };
  const formula = numberOf(value, outside);
  if (parts.length === 0) throw refused('a value without an aggregate');
  return (
    plainRules(formula, parts) ?? {
      aggregation: { type: 'FORMULA', parts, value: formula },
      aggregationKey: null,
    }
  );
}

function aggregateCall(
  call: ExprCall,
  sql: string,
  aggregate: (type: FormulaPart['type'], argument: Formula | null) => Formula,
): Formula {
  const name = call.function.name.toLowerCase();
  const shown = name.toUpperCase();
  refuseOthers(call, ['type', 'function', 'args', 'distinct']);
  const inside: SqlContext = { sql, place: 'an aggregate', aggregate: null };
  const [argument, ...more] = call.args;
  const isStar = argument?.type === 'ref' && argument.name === '*';
  if (name === 'count' && (argument === undefined || isStar) && call.distinct !== 'distinct') {
    return aggregate('COUNT', null);
  }
  if (argument === undefined || more.length > 0) throw refused(`${shown} of not one argument`);
  if (call.distinct === 'distinct') {
    if (name !== 'count') throw refused(`${shown}(DISTINCT …)`);
    return aggregate('UNIQUE', scalarOf(argument, inside));
  }
  if (name === 'count') {
    const missing: Formula = { op: 'is_null', of: [scalarOf(argument, inside)] };
    const one: Formula = { op: 'literal_number', text: '1' };
    return aggregate('COUNT', { op: 'case', of: [missing, { op: 'null' }, one] });
  }
  const number = numberOf(argument, inside);
  switch (name) {
    case 'avg':
      return { op: 'divide', of: [aggregate('SUM', number), aggregate('COUNT', number)] };
    case 'min':
      // The highest of the negated ones: rollups know no lowest.
      return { op: 'negate', of: [aggregate('MAX', { op: 'negate', of: [number] })] };
    default:
      return aggregate(name.toUpperCase() as FormulaPart['type'], number);
  }
}

/** The rules without a formula, where they can say the same. */
function plainRules(
  formula: Formula,
  [part, ...more]: readonly FormulaPart[],
): Pick<SqlRules, 'aggregation' | 'aggregationKey'> | null {
  if (part === undefined || more.length > 0 || formula.op !== 'aggregate' || part.type === 'EARLIEST')
    return null;
  const { type, argument } = part;
  if (argument === null) return { aggregation: { type }, aggregationKey: null };
  if (type === 'COUNT') return null;
  const plain = argument.op === 'number' ? argument.of[0] : argument;
  const isPlain = plain?.op === 'property' && (type === 'UNIQUE') === (argument.op === 'property');
  return isPlain ? { aggregation: { type }, aggregationKey: plain.name } : null;
}

/** Whether the groups of the metric add up to the whole. */
function addsUp(aggregation: Aggregation): boolean {
  if (aggregation.type !== 'FORMULA') return aggregation.type === 'COUNT' || aggregation.type === 'SUM';
  const [part, ...more] = aggregation.parts;
  return (
    more.length === 0 &&
    aggregation.value.op === 'aggregate' &&
    (part?.type === 'COUNT' || part?.type === 'SUM')
  );
}

/** What must hold in any case is a filter where it can be one: filters say which events need not be looked at. */
function addCondition(expression: Expr, filters: Filters, sql: string): void {
  if (expression.type === 'binary' && expression.op === 'AND') {
    addCondition(expression.left, filters, sql);
    addCondition(expression.right, filters, sql);
    return;
  }
  if (addFilter(expression, filters)) return;
  filters.conditions.push(conditionOf(expression, { sql, place: 'WHERE', aggregate: null }));
}

function addFilter(expression: Expr, filters: Filters): boolean {
  if (expression.type === 'unary' && (expression.op === 'IS NULL' || expression.op === 'IS NOT NULL')) {
    const name = propertyName(expression.operand);
    if (name === null) return false;
    const exists = expression.op === 'IS NOT NULL';
    filters.properties.push({ name, exists, inValues: null, notInValues: null });
    return true;
  }
  if (expression.type !== 'binary') return false;
  const { op, left, right } = expression;
  const texts = textsOf(right);
  if (texts === null) return false;
  const isIn = op === '=' || op === 'IN';
  if (!isIn && op !== '!=' && op !== 'NOT IN') return false;
  const values = { inValues: isIn ? texts : null, notInValues: isIn ? null : texts };
  if (left.type === 'ref' && left.table === undefined && left.name === 'event_type') {
    if (filters.eventType !== null) return false;
    filters.eventType = values;
    return true;
  }
  const name = propertyName(left);
  if (name === null) return false;
  // In SQL a missing property is neither equal nor unequal to anything: such an event is left out.
  filters.properties.push({ name, exists: true, ...values });
  return true;
}

function textsOf(expression: Expr): string[] | null {
  if (expression.type === 'string') return [expression.value];
  if (expression.type !== 'list') return null;
  const texts = expression.expressions.map((one) => (one.type === 'string' ? one.value : null));
  return texts.every((text) => text !== null) ? texts : null;
}

function groupOf(expression: Expr): string {
  const name = propertyName(expression);
  if (name === null) throw refused('GROUP BY of anything but a property (properties.x)');
  return name;
}

function propertyName(expression: Expr): string | null {
  if (expression.type !== 'ref' || expression.name === '*') return null;
  return expression.table?.name.toLowerCase() === 'properties' ? expression.name : null;
}

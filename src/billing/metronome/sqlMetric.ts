import { type Expr, type ExprCall, type SelectFromStatement, type Statement, parse } from 'pgsql-ast-parser';
import type { EventTypeFilter, PropertyFilter } from '../../domain/contract/metric.js';
import { invalid } from '../../domain/errors.js';

/** What a SQL metric says, in the terms of every other metric. */
export interface SqlRules {
  aggregation: 'COUNT' | 'SUM' | 'MAX' | 'LATEST' | 'UNIQUE';
  aggregationKey: string | null;
  eventTypeFilter: EventTypeFilter | null;
  propertyFilters: PropertyFilter[];
  groupKeys: string[][];
}

const SUBSET =
  'Durabill takes one SELECT of COUNT(*), COUNT(DISTINCT properties.x), SUM, MAX or LATEST(properties.x) FROM events, ' +
  'with conditions on event_type and properties joined by AND, and GROUP BY properties';

const NUMERIC_TYPES = [
  'numeric',
  'decimal',
  'double',
  'double precision',
  'float',
  'real',
  'integer',
  'int',
  'bigint',
];

/**
 * Reads a SQL metric (docs.metronome.com, "billable metrics SQL editor"). The text is parsed and translated, never
 * run: what is outside of the subset is refused (`invalid`) by name.
 */
export function readSqlMetric(sql: string): SqlRules {
  const select = selectOf(sql);
  refuseClauses(select);
  const groups = (select.groupBy ?? []).map((expression) => propertyOf(expression, 'GROUP BY'));
  const value = valueColumn(select, groups);
  const filters: Filters = { eventType: null, properties: [] };
  if (select.where) addCondition(select.where, filters);
  const { aggregation, aggregationKey } = aggregateOf(value);
  return {
    aggregation,
    aggregationKey,
    eventTypeFilter: filters.eventType,
    propertyFilters: filters.properties,
    groupKeys: groups.length === 0 ? [] : [[...new Set(groups)]],
  };
}

interface Filters {
  eventType: EventTypeFilter | null;
  properties: PropertyFilter[];
}

function selectOf(sql: string): SelectFromStatement {
  let statements: Statement[];
  try {
    statements = parse(sql);
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

function refuseOthers(node: object, known: readonly string[]): void {
  const other = Object.entries(node).find(([key, value]) => Boolean(value) && !known.includes(key));
  if (other !== undefined) throw refused(other[0].replace(/[A-Z]/g, (letter) => ` ${letter}`).toUpperCase());
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
    const property = propertyOf(column.expr, 'a column besides the value');
    if (!groups.includes(property)) throw refused(`the column ${property} without GROUP BY`);
  }
  return value.expr;
}

function aggregateOf(expression: Expr): Pick<SqlRules, 'aggregation' | 'aggregationKey'> {
  if (expression.type !== 'call') throw refused('a value that is no single aggregate');
  const name = expression.function.name.toLowerCase();
  refuseCallOptions(expression);
  const [argument] = expression.args;
  const isStar = argument?.type === 'ref' && argument.name === '*';
  if (name === 'count' && (argument === undefined || isStar)) {
    return { aggregation: 'COUNT', aggregationKey: null };
  }
  if (argument === undefined || expression.args.length !== 1)
    throw refused(`${name.toUpperCase()} of not one argument`);
  if (name === 'count' && expression.distinct === 'distinct') {
    return { aggregation: 'UNIQUE', aggregationKey: propertyOf(argument, 'COUNT(DISTINCT …)') };
  }
  if (expression.distinct === 'distinct') throw refused(`${name.toUpperCase()}(DISTINCT …)`);
  switch (name) {
    case 'sum':
      return { aggregation: 'SUM', aggregationKey: propertyOf(argument, 'SUM') };
    case 'max':
      return { aggregation: 'MAX', aggregationKey: propertyOf(argument, 'MAX') };
    case 'latest':
      return { aggregation: 'LATEST', aggregationKey: propertyOf(argument, 'LATEST') };
    default:
      throw refused(`the function ${name.toUpperCase()}`);
  }
}

function refuseCallOptions(call: ExprCall): void {
  refuseOthers(call, ['type', 'function', 'args', 'distinct']);
  if (call.function.schema !== undefined) throw refused(`the schema ${call.function.schema}`);
}

function addCondition(expression: Expr, filters: Filters): void {
  if (expression.type === 'unary' && (expression.op === 'IS NULL' || expression.op === 'IS NOT NULL')) {
    const name = propertyOf(expression.operand, expression.op);
    const exists = expression.op === 'IS NOT NULL';
    filters.properties.push({ name, exists, inValues: null, notInValues: null });
    return;
  }
  if (expression.type !== 'binary') throw refused('a condition that is no comparison');
  switch (expression.op) {
    case 'AND':
      addCondition(expression.left, filters);
      addCondition(expression.right, filters);
      return;
    case '=':
    case 'IN':
      addValues(expression.left, { inValues: textsOf(expression.right), notInValues: null }, filters);
      return;
    case '!=':
    case 'NOT IN':
      addValues(expression.left, { inValues: null, notInValues: textsOf(expression.right) }, filters);
      return;
    default:
      throw refused(`the operator ${expression.op}`);
  }
}

/** In SQL a missing property is neither equal nor unequal to anything: such an event is left out. */
function addValues(left: Expr, values: EventTypeFilter, filters: Filters): void {
  if (left.type === 'ref' && left.table === undefined && left.name === 'event_type') {
    if (filters.eventType !== null) throw refused('two conditions on event_type');
    filters.eventType = values;
    return;
  }
  filters.properties.push({ name: propertyOf(left, 'WHERE'), exists: true, ...values });
}

function textsOf(expression: Expr): string[] {
  if (expression.type === 'string') return [expression.value];
  if (expression.type === 'list') return expression.expressions.flatMap(textsOf);
  throw refused('a comparison with anything but texts');
}

/** `properties.x`, with or without a cast to a number: metered values are read as decimals anyhow. */
function propertyOf(expression: Expr, where: string): string {
  if (expression.type === 'cast' && 'name' in expression.to) {
    const type = expression.to.name.toLowerCase();
    if (!NUMERIC_TYPES.includes(type)) throw refused(`a cast to ${type}`);
    return propertyOf(expression.operand, where);
  }
  if (
    expression.type === 'ref' &&
    expression.table?.name.toLowerCase() === 'properties' &&
    expression.name !== '*'
  ) {
    return expression.name;
  }
  throw refused(`${where} of anything but a property (properties.x)`);
}

function refused(what: string): Error {
  return invalid(`Invalid 'sql': ${what} is not supported. ${SUBSET}.`);
}

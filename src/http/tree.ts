import { invalid } from '../domain/errors.js';
import type { BillingError } from '../domain/errors.js';

/**
 * Request parameters as they were sent: objects without a prototype, so that no key is special. Arrays appear only
 * for `a[]=` and JSON arrays; `a[0]=` stays an object with numeric keys until a codec asks for a list.
 */
export interface ParamTree {
  [key: string]: ParamNode;
}
export type ParamNode = string | number | boolean | null | ParamNode[] | ParamTree;

export const TREE_DEPTH_MAX = 10;
export const TREE_NODES_MAX = 10_000;
const FORBIDDEN_KEY = '__proto__';

export function newTree(): ParamTree {
  return Object.create(null) as ParamTree;
}

/** Refuses the one key that could reach a prototype anywhere behind this layer. */
export function checkKey(key: string, path: string): void {
  if (key === FORBIDDEN_KEY) {
    const param = path === '' ? key : `${path}[${key}]`;
    throw invalid(`Received unknown parameter: ${param}`, { code: 'parameter_unknown', param });
  }
}

/** A parsed JSON object as a ParamTree, within the same limits as a form. */
export function checkedTree(value: object): ParamTree {
  const budget = { nodes: TREE_NODES_MAX };
  return copy(value, '', 1, budget) as ParamTree;
}

function copy(value: unknown, path: string, depth: number, budget: { nodes: number }): ParamNode {
  budget.nodes -= 1;
  if (budget.nodes < 0) throw tooMany();
  if (typeof value !== 'object' || value === null) return value as ParamNode;
  if (depth > TREE_DEPTH_MAX) throw tooDeep();
  if (Array.isArray(value)) {
    return value.map((item, index) => copy(item, `${path}[${index}]`, depth + 1, budget));
  }
  const tree = newTree();
  for (const [key, item] of Object.entries(value)) {
    checkKey(key, path);
    tree[key] = copy(item, path === '' ? key : `${path}[${key}]`, depth + 1, budget);
  }
  return tree;
}

export function tooMany(): BillingError {
  return invalid(`Invalid request: at most ${TREE_NODES_MAX} parameters are accepted.`);
}

export function tooDeep(): BillingError {
  return invalid(`Invalid request: parameters may be nested at most ${TREE_DEPTH_MAX} levels deep.`);
}

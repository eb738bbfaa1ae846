import { invalid } from '../domain/errors.js';
import type { BillingError } from '../domain/errors.js';
import { checkKey, newTree, TREE_DEPTH_MAX, TREE_NODES_MAX, tooDeep, tooMany } from './tree.js';
import type { ParamNode, ParamTree } from './tree.js';

/**
 * Decodes `application/x-www-form-urlencoded` text, or a query string, with Stripe's bracket keys:
 * `items[0][price]=x`, `expand[]=y`, `metadata[a]=b`. A repeated scalar key keeps its last value, unless it is one of
 * `repeated`: then it is a list without brackets.
 */
export function decodeForm(text: string, repeated: readonly string[] = []): ParamTree {
  const root = newTree();
  if (text === '') return root;
  const pairs = text.split('&');
  if (pairs.length > TREE_NODES_MAX) throw tooMany();
  for (const pair of pairs) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const key = unescape(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? '' : unescape(pair.slice(equals + 1));
    insert(root, repeated.includes(key) ? [key, ''] : segmentsOf(key), value, key);
  }
  return root;
}

function unescape(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    throw invalid('Invalid request: a parameter has a malformed percent-encoding.');
  }
}

/** `a[b][]` → `['a', 'b', '']`. */
function segmentsOf(key: string): string[] {
  const bracket = key.indexOf('[');
  if (bracket < 0) {
    if (key === '' || key.includes(']')) throw malformed(key);
    return [key];
  }
  if (bracket === 0 || !key.endsWith(']')) throw malformed(key);
  const inner = key.slice(bracket + 1, -1).split('][');
  if (inner.some((segment) => /[[\]]/.test(segment))) throw malformed(key);
  if (inner.length + 1 > TREE_DEPTH_MAX) throw tooDeep();
  return [key.slice(0, bracket), ...inner];
}

function insert(root: ParamTree, segments: readonly string[], value: string, key: string): void {
  let holder: ParamTree | ParamNode[] = root;
  let path = '';
  for (const [index, segment] of segments.entries()) {
    const next = segments[index + 1];
    checkKey(segment, path);
    path = path === '' ? segment : `${path}[${segment}]`;
    if (next === undefined) {
      put(holder, segment, value, key);
      return;
    }
    holder = descend(holder, segment, next, key);
  }
}

function put(holder: ParamTree | ParamNode[], segment: string, value: string, key: string): void {
  if (Array.isArray(holder)) {
    if (segment !== '') throw conflicting(key);
    holder.push(value);
    return;
  }
  if (segment === '' || isBranch(holder[segment])) throw conflicting(key);
  holder[segment] = value;
}

/** The node under `segment`, made when it isn't there: a list when the next segment is empty, else a tree. */
function descend(
  holder: ParamTree | ParamNode[],
  segment: string,
  next: string,
  key: string,
): ParamTree | ParamNode[] {
  if (Array.isArray(holder)) return descendList(holder, segment, next, key);
  if (segment === '') throw conflicting(key);
  const existing = holder[segment];
  if (existing === undefined) {
    const made = next === '' ? [] : newTree();
    holder[segment] = made;
    return made;
  }
  if (!isBranch(existing) || Array.isArray(existing) !== (next === '')) throw conflicting(key);
  return existing;
}

/** `a[][x]=1&a[][y]=2&a[][x]=3` is two elements: a property that the last one has already begins another. */
function descendList(
  holder: ParamNode[],
  segment: string,
  next: string,
  key: string,
): ParamTree | ParamNode[] {
  if (segment !== '' || next === '') throw conflicting(key);
  const last = holder.at(-1);
  if (isBranch(last) && !Array.isArray(last) && last[next] === undefined) return last;
  const made = newTree();
  holder.push(made);
  return made;
}

function isBranch(node: ParamNode | undefined): node is ParamTree | ParamNode[] {
  return typeof node === 'object' && node !== null;
}

function malformed(key: string): BillingError {
  return invalid(`Invalid request: the parameter name '${key.slice(0, 100)}' is malformed.`);
}

function conflicting(key: string): BillingError {
  return invalid(`Invalid request: the parameter '${key.slice(0, 100)}' is given in conflicting forms.`);
}

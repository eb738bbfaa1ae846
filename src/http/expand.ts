import { invalid } from '../domain/errors.js';
import type { BillingError } from '../domain/errors.js';
import type { JsonObject, JsonValue } from '../json.js';
import type { Queryable } from '../storage/db.js';

export interface ExpandContext {
  readonly q: Queryable;
  readonly accountId: string;
}

/** Loads objects of one type by id, in one statement. Ids that don't exist are left out. */
export type Load = (ctx: ExpandContext, ids: readonly string[]) => Promise<ReadonlyMap<string, JsonObject>>;

/** Computes a property that is hidden unless asked for; one value for each object, in order. */
export type Reveal = (ctx: ExpandContext, objects: readonly JsonObject[]) => Promise<readonly JsonValue[]>;

/**
 * What can be expanded in one object type. A property is the name of the object type that its id refers to, or a
 * function that reveals it. A reference inside nested hashes is written with dots:
 * `'parent.subscription_details.subscription': 'subscription'`. A property that is always null for us is `'none'`.
 * Lists and objects that are embedded already (`items.data.price`) need no entry: the walk goes through them.
 */
export interface Expansion {
  /** The `object` of the type, for example `subscription`. */
  readonly object: string;
  readonly load?: Load;
  readonly properties: Readonly<Record<string, string | Reveal>>;
}

type Mutable = Record<string, JsonValue>;
type Node = JsonValue;

const DEPTH_MAX = 4;

/** Carries out `expand[]` on answers (docs.stripe.com/api/expanding_objects). Made once of every resource's expansions. */
export class Expander {
  readonly #types = new Map<string, Expansion>();

  constructor(expansions: readonly Expansion[]) {
    for (const expansion of expansions) {
      if (this.#types.has(expansion.object)) throw new Error(`two expansions of ${expansion.object}`);
      this.#types.set(expansion.object, expansion);
    }
  }

  /** Expands `object` in place. Refuses a path that can't be expanded, in Stripe's words. */
  async expand(ctx: ExpandContext, object: JsonObject, paths: readonly string[]): Promise<void> {
    for (const path of [...new Set(paths)].sort()) {
      const segments = path.split('.');
      if (segments.length > DEPTH_MAX) throw tooDeep(path);
      await this.#walk(ctx, [object], segments, path);
    }
  }

  /** Goes down `segments` in all `nodes` at once, so that each level is loaded in one statement for each type. */
  async #walk(
    ctx: ExpandContext,
    nodes: readonly Node[],
    segments: readonly string[],
    path: string,
  ): Promise<void> {
    const byType = new Map<string, JsonObject[]>();
    const all: readonly Node[] = nodes.flat<readonly Node[]>();
    for (const node of all) {
      if (!isObject(node)) continue;
      const type = typeof node['object'] === 'string' ? node['object'] : '';
      byType.set(type, [...(byType.get(type) ?? []), node]);
    }
    for (const [type, objects] of byType) await this.#walkType(ctx, type, objects, segments, path);
  }

  async #walkType(
    ctx: ExpandContext,
    type: string,
    objects: readonly JsonObject[],
    segments: readonly string[],
    path: string,
  ): Promise<void> {
    const properties = this.#types.get(type)?.properties ?? {};
    const found = longestProperty(properties, segments);
    if (found === null) {
      await this.#passThrough(ctx, objects, segments, path);
      return;
    }
    const parts = segments.slice(0, found);
    const name = parts.join('.');
    const property = properties[name];
    const owners = objects.map((object) => ownerOf(object, parts));
    const key = parts.at(-1) ?? '';
    if (typeof property === 'function') await reveal(ctx, property, objects, key);
    else if (property !== undefined && property !== 'none') await this.#load(ctx, property, owners, key);
    const rest = segments.slice(found);
    if (rest.length === 0) return;
    await this.#walk(
      ctx,
      owners.map((owner) => owner?.[key]),
      rest,
      path,
    );
  }

  /** A segment that is no expandable property: an embedded object or list on the way, or a wrong path. */
  async #passThrough(
    ctx: ExpandContext,
    objects: readonly JsonObject[],
    segments: readonly string[],
    path: string,
  ): Promise<void> {
    const [segment = '', ...rest] = segments;
    const failed = path
      .split('.')
      .slice(0, path.split('.').length - rest.length)
      .join('.');
    const first = objects.find((object) => Object.hasOwn(object, segment));
    if (first === undefined) throw nonexistent(failed);
    const values = objects.map((object) => object[segment]);
    const embedded = values.some((value) => Array.isArray(value) || isObject(value));
    if (rest.length === 0 || !embedded) throw inexpandable(failed);
    await this.#walk(ctx, values, rest, path);
  }

  async #load(
    ctx: ExpandContext,
    type: string,
    owners: readonly (Mutable | null)[],
    key: string,
  ): Promise<void> {
    const ids = new Set<string>();
    for (const owner of owners) {
      const values = [owner?.[key]].flat();
      for (const value of values) if (typeof value === 'string') ids.add(value);
    }
    if (ids.size === 0) return;
    const load = this.#types.get(type)?.load;
    if (load === undefined) throw new Error(`nothing loads the expandable type ${type}`);
    const loaded = await load(ctx, [...ids]);
    const replace = (value: JsonValue): JsonValue =>
      typeof value === 'string' ? (loaded.get(value) ?? value) : value;
    for (const owner of owners) {
      if (owner === null) continue;
      const value = owner[key];
      if (value !== undefined) owner[key] = Array.isArray(value) ? value.map(replace) : replace(value);
    }
  }
}

async function reveal(
  ctx: ExpandContext,
  property: Reveal,
  objects: readonly JsonObject[],
  key: string,
): Promise<void> {
  const hidden = objects.filter((object) => object[key] === undefined);
  const values = await property(ctx, hidden);
  hidden.forEach((object, index) => {
    const owner: Mutable = object;
    owner[key] = values[index];
  });
}

/** The number of segments of the longest declared property that the path begins with. */
function longestProperty(properties: Expansion['properties'], segments: readonly string[]): number | null {
  for (let length = segments.length; length > 0; length -= 1) {
    if (Object.hasOwn(properties, segments.slice(0, length).join('.'))) return length;
  }
  return null;
}

/** The hash that holds the last of `parts`, or null where one on the way is null. */
function ownerOf(object: JsonObject, parts: readonly string[]): Mutable | null {
  let owner: JsonObject = object;
  for (const part of parts.slice(0, -1)) {
    const next: JsonValue = owner[part];
    if (!isObject(next)) return null;
    owner = next;
  }
  return owner;
}

function isObject(value: Node): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nonexistent(path: string): BillingError {
  return invalid(`This property cannot be expanded because it doesn't exist: ${path}.`, { param: 'expand' });
}

function inexpandable(path: string): BillingError {
  return invalid(`This property cannot be expanded (${path}).`, { param: 'expand' });
}

function tooDeep(path: string): BillingError {
  const message = `You cannot expand more than ${DEPTH_MAX} levels of a property. [Property: ${path}]`;
  return invalid(message, { code: 'property_expansion_max_depth', param: 'expand' });
}

/** The id of a rendered object. */
export function idOf(object: JsonObject): string {
  const id = object['id'];
  if (typeof id !== 'string') throw new Error('an object to expand has no id');
  return id;
}

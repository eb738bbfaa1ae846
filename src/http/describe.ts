import { z } from 'zod';
import type { Endpoint } from './endpoint.js';
import { arrayItems, clearableInners, type ParamDescription, paramDescriptions } from './codec.js';

/** A parameter as data: what the contract test, the compatibility table and an API description need to know. */
export interface DescribedParam {
  required: boolean;
  /** `''` unsets it. */
  clearable: boolean;
  /** What a single value must be; absent for hashes and lists. */
  value?: ParamDescription;
  /** Of a hash. */
  properties?: Record<string, DescribedParam>;
  /** Of a list. */
  item?: DescribedParam;
}

/** The parameters of an endpoint by name. `expand`, which every endpoint takes, is not among them. */
export function describeParams(endpoint: Pick<Endpoint, 'params'>): Record<string, DescribedParam> {
  return propertiesOf(endpoint.params);
}

function propertiesOf(schema: z.ZodObject): Record<string, DescribedParam> {
  return Object.fromEntries(
    Object.entries(schema.shape).map(([name, property]) => [name, describe(property as z.ZodType)]),
  );
}

function describe(schema: z.ZodType): DescribedParam {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return { ...describe(schema.unwrap() as z.ZodType), required: false };
  }
  const inner = clearableInners.get(schema);
  if (inner !== undefined) return { ...describe(inner), clearable: true };
  const item = arrayItems.get(schema);
  if (item !== undefined) return { required: true, clearable: false, item: describe(item) };
  if (schema instanceof z.ZodObject) {
    return { required: true, clearable: false, properties: propertiesOf(schema) };
  }
  const value = paramDescriptions.get(schema);
  if (value === undefined) throw new Error('a parameter is not made of the codecs in params.ts');
  return { required: true, clearable: value.clearable ?? false, value };
}

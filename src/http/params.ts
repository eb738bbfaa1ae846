/**
 * The codecs of request parameters. Input: what the body decoder gives, so strings from forms and scalars from JSON.
 * Output: typed. `''` and null are Stripe's "unset" signal, which only `clearable` and `metadata` accept.
 * A failure carries Stripe's words and code; validation.ts adds the bracketed name.
 */

export type { MetadataUpdate } from '../billing/metadata.js';
export { type ParamFailure, paramDescriptions } from './codec.js';
export { array, clearable, object, wordOr } from './compositeParams.js';
export { listParams, listParamsWithoutCreated, rangeFilter } from './listParams.js';
export { metadata } from './metadataParam.js';
export { bigintParam, boolean, decimal, instant, integer, oneOf, text } from './scalarParams.js';

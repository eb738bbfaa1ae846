import type { z } from 'zod';
import type { Applicability, Specifier } from '../../../domain/contract/terms.js';
import { invalid } from '../../../domain/errors.js';
import { list, object, text, textMap, uuid } from '../params.js';
import { requireProduct, type TermsContext, under } from './context.js';

export const specifierFields = {
  product_id: uuid().optional(),
  product_tags: list(text(), { max: 100 }).optional(),
  pricing_group_values: textMap().optional(),
  presentation_group_values: textMap().optional(),
};

const specifier = object({
  ...specifierFields,
  exclude: list(object({ product_tags: list(text(), { max: 100 }).optional() }), { max: 100 }).optional(),
});

export const applicabilityFields = {
  applicable_product_ids: list(uuid(), { max: 1000 }).nullable().optional(),
  applicable_product_tags: list(text(), { max: 1000 }).nullable().optional(),
  specifiers: list(specifier, { max: 1000 }).nullable().optional(),
};

export const applicability = object(applicabilityFields);

type ApplicabilityParams = z.output<typeof applicability>;

/** What a balance may pay for; specifiers exclude the two lists (docs.metronome.com, "target credits and commits"). */
export function applicabilityOf(
  context: TermsContext,
  params: ApplicabilityParams,
  where: string,
): Applicability {
  const productIds = params.applicable_product_ids ?? [];
  const productTags = params.applicable_product_tags ?? [];
  const specifiers = params.specifiers ?? [];
  if (specifiers.length > 0 && productIds.length + productTags.length > 0) {
    throw invalid(
      `Invalid '${under(where, 'specifiers')}': cannot be combined with applicable_product_ids or applicable_product_tags.`,
    );
  }
  for (const id of productIds) requireProduct(context, id, under(where, 'applicable_product_ids'));
  return {
    productIds,
    productTags,
    specifiers: specifiers.map((one): Specifier => {
      if (one.product_id !== undefined) requireProduct(context, one.product_id, under(where, 'specifiers'));
      return {
        productId: one.product_id ?? null,
        productTags: one.product_tags ?? [],
        pricingGroupValues: one.pricing_group_values ?? {},
        presentationGroupValues: one.presentation_group_values ?? {},
        excludedTags: (one.exclude ?? []).flatMap(({ product_tags: tags }) =>
          tags === undefined ? [] : [tags],
        ),
      };
    }),
  };
}

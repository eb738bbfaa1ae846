import { stableId } from '../../../billing/contracts/ids.js';
import type { JsonObject, JsonValue } from '../../../json.js';
import type { ContractProduct } from '../../../billing/contracts/usage.js';
import type { PackageRecord } from '../../../storage/packages.js';
import { USD_CREDIT_TYPE_ID } from '../../../storage/pricingUnits.js';
import { aliasObjects } from '../aliases.js';
import { CREATED_BY, creditType, optionalTime, rfc3339 } from '../render.js';
import type { PackageTerms } from '../terms/package.js';
import { present, rawJson, type Units } from './common.js';

export interface PackageContext {
  accountId: string;
  products: ReadonlyMap<string, ContractProduct>;
  units: Units;
}

/** A list of the terms whose parts have template ids. */
type PartName =
  | 'commits'
  | 'credits'
  | 'recurring_commits'
  | 'recurring_credits'
  | 'subscriptions'
  | 'overrides'
  | 'scheduled_charges';

interface Templates {
  context: PackageContext;
  /** Of the part at an index, or of an item of its schedule; the same at every read. */
  id: (part: PartName, index: number, item?: string) => string;
  /** Of what the request called so. */
  named: (temporaryId: string) => string;
}

/**
 * Metronome's package (docs.metronome.com/api-reference, "get a package"): its terms in the words of the request, with
 * template ids in place of temporary ones.
 */
export function packageObject(context: PackageContext, record: PackageRecord): JsonObject {
  const terms = record.terms as PackageTerms;
  const templates = templatesOf(context, record.id, terms);
  return {
    id: record.id,
    name: record.name,
    created_at: rfc3339(record.createdAt),
    created_by: CREATED_BY,
    ...present({
      archived_at: optionalTime(record.archivedAt),
      uniqueness_key: record.uniquenessKey,
      aliases: aliasObjects(record.aliases),
      contract_name: terms.contract_name,
      duration: terms.duration === undefined ? undefined : { ...terms.duration },
      rate_card_id: terms.rate_card_id,
      rate_card_alias: terms.rate_card_alias,
      billing_provider: terms.billing_provider,
      delivery_method: terms.delivery_method,
      net_payment_terms_days: terms.net_payment_terms_days,
      scheduled_charges_on_usage_invoices: terms.scheduled_charges_on_usage_invoices,
      spend_trackers: rawJson(terms.spend_trackers),
      spend_threshold_configuration: rawJson(terms.spend_threshold_configuration),
      prepaid_balance_threshold_configuration: rawJson(terms.prepaid_balance_threshold_configuration),
    }),
    multiplier_override_prioritization: terms.multiplier_override_prioritization ?? 'LOWEST_MULTIPLIER',
    usage_statement_schedule: {
      frequency: 'MONTHLY',
      day: 'FIRST_OF_MONTH',
      ...(rawJson(terms.usage_statement_schedule) as JsonObject | undefined),
    },
    commits: commitObjects(templates, 'commits', terms.commits),
    credits: commitObjects(templates, 'credits', terms.credits),
    recurring_commits: recurringObjects(templates, 'recurring_commits', terms.recurring_commits),
    recurring_credits: recurringObjects(templates, 'recurring_credits', terms.recurring_credits),
    subscriptions: subscriptionObjects(templates, terms.subscriptions),
    overrides: overrideObjects(templates, terms.overrides),
    scheduled_charges: chargeObjects(templates, terms.scheduled_charges),
  };
}

function templatesOf(context: PackageContext, packageId: string, terms: PackageTerms): Templates {
  const id = (part: PartName, index: number, item = '') =>
    stableId(context.accountId, `package/${packageId}/${part}/${index}${item === '' ? '' : `/${item}`}`);
  const names = new Map<string, string>();
  for (const part of [
    'commits',
    'credits',
    'recurring_commits',
    'recurring_credits',
    'subscriptions',
  ] as const) {
    for (const [index, { temporary_id: name }] of (terms[part] ?? []).entries()) {
      if (name !== undefined) names.set(name, id(part, index));
    }
  }
  return { context, id, named: (name) => names.get(name) ?? name };
}

function productOf({ products }: PackageContext, id: string): JsonObject {
  return { id, name: products.get(id)?.name ?? id };
}

type CommitWords = NonNullable<PackageTerms['commits']>[number];
type CreditWords = NonNullable<PackageTerms['credits']>[number];

function commitObjects(
  { context, id }: Templates,
  part: 'commits' | 'credits',
  given: readonly (CommitWords | CreditWords)[] = [],
): JsonObject[] {
  return given.map((one, index) => {
    const { product_id, temporary_id: _name, access_schedule: access, ...rest } = one;
    const unit = access.credit_type_id ?? USD_CREDIT_TYPE_ID;
    return {
      ...(rawJson(rest) as JsonObject),
      id: id(part, index),
      product: productOf(context, product_id),
      access_schedule: {
        credit_type: creditType(context.units, unit),
        schedule_items: withIds(access.schedule_items, (item) => id(part, index, `access/${item}`)),
      },
      ...('invoice_schedule' in one && one.invoice_schedule !== undefined
        ? {
            invoice_schedule: {
              do_not_invoice: one.invoice_schedule.do_not_invoice ?? false,
              ...scheduleObject(context, one.invoice_schedule, invoicedIn(context, unit), (item) =>
                id(part, index, `invoice/${item}`),
              ),
            },
          }
        : {}),
    };
  });
}

/** A currency is invoiced in itself, a custom unit in the default currency. */
function invoicedIn({ units }: PackageContext, unit: string): string {
  return units.get(unit)?.isCurrency === true ? unit : USD_CREDIT_TYPE_ID;
}

function scheduleObject(
  { units }: PackageContext,
  {
    credit_type_id: unit,
    schedule_items: items,
  }: { credit_type_id?: string | undefined; schedule_items: object[] },
  defaultUnit: string,
  idOf: (item: number) => string,
): JsonObject {
  return { credit_type: creditType(units, unit ?? defaultUnit), schedule_items: withIds(items, idOf) };
}

function withIds(items: readonly object[], idOf: (item: number) => string): JsonValue {
  return items.map((item, index) => ({ id: idOf(index), ...(rawJson(item) as JsonObject) }));
}

function recurringObjects(
  { context, id, named }: Templates,
  part: 'recurring_commits' | 'recurring_credits',
  given: PackageTerms['recurring_commits'] = [],
): JsonObject[] {
  return given.map((one, index) => {
    const {
      product_id,
      temporary_id: _name,
      subscription_config: config,
      access_amount,
      invoice_amount,
      ...rest
    } = one;
    const inUnit = (amount: object | undefined) =>
      amount === undefined
        ? undefined
        : { credit_type_id: USD_CREDIT_TYPE_ID, ...(rawJson(amount) as JsonObject) };
    return {
      rate_type: 'LIST_RATE',
      ...(rawJson(rest) as JsonObject),
      id: id(part, index),
      product: productOf(context, product_id),
      ...present({
        access_amount: inUnit(access_amount),
        invoice_amount: inUnit(invoice_amount),
        subscription_config:
          config === undefined
            ? undefined
            : {
                subscription_template_id: named(config.subscription_id),
                allocation: config.allocation ?? 'POOLED',
                apply_seat_increase_config: { ...config.apply_seat_increase_config },
              },
      }),
    };
  });
}

function subscriptionObjects(
  { context, id }: Templates,
  given: PackageTerms['subscriptions'] = [],
): JsonObject[] {
  return given.map((one, index) => {
    const { subscription_rate: rate, temporary_id: _name, seat_config: seats, proration, ...rest } = one;
    return {
      quantity_management_mode: 'QUANTITY_ONLY',
      fiat_credit_type_id: USD_CREDIT_TYPE_ID,
      ...(rawJson(rest) as JsonObject),
      id: id('subscriptions', index),
      subscription_rate: {
        billing_frequency: rate.billing_frequency,
        product: productOf(context, rate.product_id),
      },
      proration: {
        is_prorated: false,
        invoice_behavior: 'BILL_IMMEDIATELY',
        ...(rawJson(proration) as JsonObject | undefined),
      },
      ...(seats === undefined ? {} : { seat_config: rawJson(seats) }),
    };
  });
}

function overrideObjects(
  { context, id, named }: Templates,
  given: PackageTerms['overrides'] = [],
): JsonObject[] {
  return given.map((one, index) => {
    const { override_specifiers: specifiers, tiers, overwrite_rate: rate, ...rest } = one;
    return {
      ...(rawJson(rest) as JsonObject),
      id: id('overrides', index),
      override_specifiers: (specifiers ?? []).map(
        ({ commit_ids, recurring_commit_ids, recurring_credit_ids, any_commit_or_credit_ids, ...scope }) => ({
          ...(rawJson(scope) as JsonObject),
          ...present({
            commit_template_ids: commit_ids?.map(named),
            recurring_commit_template_ids: recurring_commit_ids?.map(named),
            recurring_credit_template_ids: recurring_credit_ids?.map(named),
            any_commit_or_credit_template_ids: any_commit_or_credit_ids?.map(named),
          }),
        }),
      ),
      ...present({ override_tiers: rawJson(tiers), overwrite_rate: rate && rateWords(context, rate) }),
    };
  });
}

function rateWords(
  { units }: PackageContext,
  rate: object & { credit_type_id?: string | undefined },
): JsonObject {
  const { credit_type_id: unit, ...words } = rate;
  return { ...(rawJson(words) as JsonObject), credit_type: creditType(units, unit ?? USD_CREDIT_TYPE_ID) };
}

function chargeObjects(
  { context, id }: Templates,
  given: PackageTerms['scheduled_charges'] = [],
): JsonObject[] {
  return given.map(({ product_id, schedule, ...rest }, index) => ({
    ...(rawJson(rest) as JsonObject),
    id: id('scheduled_charges', index),
    product: productOf(context, product_id),
    schedule: scheduleObject(context, schedule, USD_CREDIT_TYPE_ID, (item) =>
      id('scheduled_charges', index, String(item)),
    ),
  }));
}

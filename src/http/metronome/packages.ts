import { newUuid } from '../../billing/contracts/ids.js';
import { checkAllCustomFields } from '../../billing/metronome/customFields.js';
import { archivePackage, createPackage, requirePackage } from '../../billing/metronome/packages.js';
import { checkThresholdTerms } from '../../billing/thresholdTerms.js';
import { checkSpendTrackers } from '../../domain/contract/spendTracker.js';
import { invalid } from '../../domain/errors.js';
import { loadProducts } from '../../storage/contractProducts.js';
import { listContractsOfPackage, listPackages, type PackagedContractRow } from '../../storage/packages.js';
import { loadPricingUnits } from '../../storage/pricingUnits.js';
import { resolveRateCard } from '../../storage/rateCards.js';
import { aliases, aliasOf } from './aliases.js';
import { type MetronomeContext, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPage, storagePage, storagePageAnswer } from './paging.js';
import { boolean, HOUR_MS, object, oneOf, text, timestamp, uuid } from './params.js';
import { type PackageContext, packageObject } from './render/package.js';
import { optionalTime, rfc3339 } from './render.js';
import { loadTermsContext } from './terms/context.js';
import { newContractOf } from './terms/contract.js';
import { checkReferences, contractParamsFrom, type PackageTerms, packageTerms } from './terms/package.js';

const URL = '/v1/packages';

const create = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/create`,
  body: packageTerms.extend({
    name: text({ max: 500 }),
    aliases: aliases.optional(),
    uniqueness_key: text({ max: 128 }).optional(),
  }),
  async handle(ctx, { name, aliases: given, uniqueness_key: uniquenessKey, ...terms }) {
    await checkTerms(ctx, terms);
    await checkPartsFields(ctx, terms);
    const { id } = await createPackage(ctx, {
      name,
      aliases: (given ?? []).map(aliasOf),
      uniquenessKey: uniquenessKey ?? null,
      terms,
    });
    return { data: { id } };
  },
});

/** Refuses terms that no contract could have: they are made once, for a contract that would start now. */
async function checkTerms({ tx, accountId, now }: MetronomeContext, terms: PackageTerms): Promise<void> {
  if (terms.rate_card_id !== undefined && terms.rate_card_alias !== undefined) {
    throw invalid("Invalid 'rate_card_alias': cannot be combined with rate_card_id.");
  }
  if (terms.delivery_method !== undefined && terms.billing_provider === undefined) {
    throw invalid("Invalid 'delivery_method': goes with billing_provider.");
  }
  checkReferences(terms);
  const startingAt = now - (now % HOUR_MS);
  // An alias may be assigned later; contracts look it up when they start.
  const rateCardId =
    terms.rate_card_id === undefined
      ? null
      : (await resolveRateCard(tx, accountId, { id: terms.rate_card_id }, startingAt)).id;
  const params = contractParamsFrom(terms, { customer_id: '', starting_at: startingAt });
  const owner = { customerId: '', contractId: newUuid(), rateCardId, packageId: null };
  const { document } = newContractOf(await loadTermsContext(tx, accountId, now), params, owner);
  checkSpendTrackers(document);
  if (terms.rate_card_alias === undefined) await checkThresholdTerms(tx, accountId, { rateCardId, document });
}

/** Refuses a value of a unique custom field that a part of another package has. */
async function checkPartsFields({ tx, accountId }: MetronomeContext, terms: PackageTerms): Promise<void> {
  const parts = [
    ['package_commit', terms.commits],
    ['package_credit', terms.credits],
    ['package_subscription', terms.subscriptions],
    ['package_scheduled_charge', terms.scheduled_charges],
  ] as const;
  for (const [entity, ones = []] of parts) {
    await checkAllCustomFields(
      tx,
      accountId,
      entity,
      ones.map((one) => one.custom_fields ?? {}),
    );
  }
}

const get = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/get`,
  transactional: false,
  body: object({ package_id: uuid() }),
  async handle(ctx, input) {
    const found = await requirePackage(ctx.q, ctx.accountId, input.package_id);
    return { data: packageObject(await packageContext(ctx), found) };
  },
});

async function packageContext({ q, accountId, now }: MetronomeContext): Promise<PackageContext> {
  return {
    accountId,
    products: await loadProducts(q, accountId, now),
    units: await loadPricingUnits(q, accountId),
  };
}

const listAll = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/list`,
  transactional: false,
  body: object({ archive_filter: oneOf(['ARCHIVED', 'NOT_ARCHIVED', 'ALL']).optional() }),
  query: object(cursorPage),
  async handle(ctx, { archive_filter: filter = 'NOT_ARCHIVED' }, _path, query) {
    const archived = filter === 'ALL' ? null : filter === 'ARCHIVED';
    const rows = await listPackages(ctx.q, ctx.accountId, archived, storagePage(query));
    const context = await packageContext(ctx);
    return storagePageAnswer(rows, query, (one) => packageObject(context, one));
  },
});

const archive = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/archive`,
  body: object({ package_id: uuid() }),
  async handle(ctx, { package_id: id }) {
    await archivePackage(ctx, id);
    return { data: { id } };
  },
});

const listContracts = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/listContractsOnPackage`,
  transactional: false,
  body: object({
    package_id: uuid(),
    covering_date: timestamp().optional(),
    starting_at: timestamp().optional(),
    include_archived: boolean().optional(),
  }),
  query: object(cursorPage),
  async handle({ q, accountId }, input, _path, query) {
    if (input.covering_date !== undefined && input.starting_at !== undefined) {
      throw invalid("Invalid 'covering_date': cannot be combined with starting_at.");
    }
    const { id } = await requirePackage(q, accountId, input.package_id);
    const filter = {
      coveringDate: input.covering_date ?? null,
      startingAt: input.starting_at ?? null,
      includeArchived: input.include_archived ?? false,
    };
    const rows = await listContractsOfPackage(q, accountId, id, filter, storagePage(query));
    return storagePageAnswer(rows, query, contractRow);
  },
});

function contractRow({ id, customerUuid, startingAt, endingBefore, archivedAt }: PackagedContractRow) {
  return {
    contract_id: id,
    customer_id: customerUuid,
    starting_at: rfc3339(startingAt),
    ending_before: optionalTime(endingBefore),
    archived_at: optionalTime(archivedAt),
  };
}

export const packageEndpoints: readonly MetronomeEndpoint[] = [create, get, listAll, archive, listContracts];

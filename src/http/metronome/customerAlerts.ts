import { type AlertOfCustomer, alertOfCustomer, alertsOfCustomer } from '../../billing/alertStates.js';
import { resetAlert } from '../../billing/thresholdAlerts.js';
import type { PricingUnit } from '../../domain/contract/terms.js';
import { type JsonObject, jsonNumber } from '../../json.js';
import { loadPricingUnits } from '../../storage/pricingUnits.js';
import type { CustomFieldFilter, SeatFilter } from '../../storage/thresholdAlerts.js';
import { alertSpecifiers, customFieldFilter, groupValues, seatFilter, seatFilterOf } from './alerts.js';
import { EMPTY, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPageWithoutLimit, pageOf } from './paging.js';
import { customerId, list, object, oneOf, uuid } from './params.js';
import { creditType, rfc3339 } from './render.js';

const get = metronomeEndpoint({
  method: 'POST',
  path: '/v1/customer-alerts/get',
  transactional: false,
  body: object({
    customer_id: customerId(),
    alert_id: uuid(),
    // Apart from values of groups and a seat, what narrows an alert of ours is in its own definition.
    group_values: groupValues.optional(),
    seat_filter: seatFilter.optional(),
    custom_field_filters: list(customFieldFilter).optional(),
    alert_specifiers: alertSpecifiers.optional(),
  }),
  async handle({ q, core, accountId }, body) {
    const groupValues = (body.group_values ?? []).map(({ key, value }) => ({ key, value: value ?? null }));
    const part = { groupValues, seat: seatFilterOf(body.seat_filter) };
    const found = await alertOfCustomer(q, core, accountId, body.alert_id, body.customer_id, part);
    return { data: alertObject(found, await loadPricingUnits(q, accountId)) };
  },
});

const listAll = metronomeEndpoint({
  method: 'POST',
  path: '/v1/customer-alerts/list',
  transactional: false,
  query: object(cursorPageWithoutLimit),
  body: object({
    customer_id: customerId(),
    alert_statuses: list(oneOf(['enabled', 'disabled', 'archived'])).optional(),
  }),
  async handle({ q, accountId }, body, _path, query) {
    const statuses = body.alert_statuses ?? ['enabled'];
    const found = await alertsOfCustomer(q, accountId, body.customer_id, statuses);
    const units = await loadPricingUnits(q, accountId);
    return pageOf(
      found,
      query,
      ({ alert }) => alert.id,
      (one) => alertObject(one, units),
    );
  },
});

const reset = metronomeEndpoint({
  method: 'POST',
  path: '/v1/customer-alerts/reset',
  body: object({ customer_id: customerId(), alert_id: uuid() }),
  async handle({ tx, core, accountId }, body) {
    await resetAlert(tx, core, accountId, body.alert_id, body.customer_id);
    return EMPTY;
  },
});

export const customerAlertEndpoints: readonly MetronomeEndpoint[] = [get, listAll, reset];

function alertObject({ alert, state }: AlertOfCustomer, units: ReadonlyMap<string, PricingUnit>): JsonObject {
  const { groupValues: groups, specifiers, customFieldFilters: filters } = alert;
  return {
    customer_status: state,
    triggered_by: null,
    alert: {
      id: alert.id,
      name: alert.name,
      type: alert.type,
      status: alert.status,
      threshold: jsonNumber(alert.threshold),
      updated_at: rfc3339(alert.updatedAt),
      credit_type: alert.creditTypeId === null ? null : creditType(units, alert.creditTypeId),
      uniqueness_key: alert.uniquenessKey ?? undefined,
      custom_field_filters: filters.length === 0 ? undefined : filters.map(filterObject),
      group_values:
        groups.length === 0
          ? undefined
          : groups.map(({ key, value }) => ({ key, value: value ?? undefined })),
      invoice_types_filter: alert.invoiceTypes ?? undefined,
      seat_filter: alert.seatFilter == null ? undefined : seatFilterObject(alert.seatFilter),
      alert_specifiers:
        specifiers.length === 0
          ? undefined
          : specifiers.map((one) => ({
              custom_field_filters: one.filters.map(filterObject),
              exclude: one.exclude.map((set) => ({ custom_field_filters: set.map(filterObject) })),
            })),
    },
  };
}

function seatFilterObject({ groupKey, value }: SeatFilter): JsonObject {
  return { seat_group_key: groupKey, seat_group_value: value ?? undefined };
}

function filterObject({ entity, key, value }: CustomFieldFilter): JsonObject {
  return { entity, key, value: value ?? undefined };
}

import type { EngineAddress } from './engine.js';
import type { BilledCustomer } from './invoices.js';

const LOOK_UP_MILLIS = 3000;
const SHOWN_MAX = 5;
const EVERYTHING = 'everything';

/** Where to go on from here. A string a line. */
export async function renderLinks(
  address: EngineAddress,
  customers: readonly BilledCustomer[],
): Promise<string[]> {
  const { api, apiKey, temporalUi } = address;
  const shown = customers.slice(0, SHOWN_MAX);
  const subscriptionId = shown[0]?.subscriptionId ?? 'sub_…';
  const auth = `-u ${apiKey}:`;
  return [
    ...(temporalUi === null ? [] : await workflowLinks(temporalUi, shown)),
    `API  ${api}`,
    `Key  ${apiKey}`,
    '',
    'Try',
    `  curl ${auth} "${api}/v1/invoices?subscription=${subscriptionId}&limit=3"`,
    `  curl ${auth} ${api}/v1/invoices/create_preview -d subscription=${subscriptionId}`,
    `  curl ${auth} "${api}/v1/events?type=invoice.finalized&limit=3"`,
  ];
}

async function workflowLinks(temporalUi: string, customers: readonly BilledCustomer[]): Promise<string[]> {
  const width = Math.max(EVERYTHING.length, ...customers.map(({ name }) => name.length));
  const lines = ['Temporal'];
  for (const customer of customers) {
    lines.push(`  ${customer.name.padEnd(width)}  ${await workflowLink(temporalUi, customer)}`);
  }
  return [...lines, `  ${EVERYTHING.padEnd(width)}  ${temporalUi}/namespaces/default/workflows`, ''];
}

/** The page of the subscription's workflow; the list of the customer's workflows where it can't be looked up. */
async function workflowLink(temporalUi: string, customer: BilledCustomer): Promise<string> {
  const query = encodeURIComponent(`CustomerId="${customer.customerId}"`);
  const found = await findWorkflow(`${temporalUi}/api/v1/namespaces/default/workflows?query=${query}`);
  const page = `${temporalUi}/namespaces/default/workflows`;
  return found === null ? `${page}?query=${query}` : `${page}/${encodeURIComponent(found)}`;
}

interface WorkflowList {
  readonly executions?: readonly { readonly execution?: { readonly workflowId?: string } }[];
}

async function findWorkflow(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(LOOK_UP_MILLIS) });
    if (!response.ok) return null;
    const { executions = [] } = (await response.json()) as WorkflowList;
    return executions[0]?.execution?.workflowId ?? null;
  } catch {
    // The list page is a good link too, and the only one when the UI does not answer in time.
    return null;
  }
}

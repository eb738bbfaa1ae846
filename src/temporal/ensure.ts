import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
// A CommonJS package whose names Node cannot see from outside: only the default import has them at run time.
import proto from '@temporalio/proto';
import type { Logger } from '../logging.js';

export interface EnsureOptions {
  readonly namespace: string;
  /** Name → type (Keyword, KeywordList, Datetime, …). */
  readonly searchAttributes: Readonly<Record<string, string>>;
  readonly logger: Logger;
}

/** gRPC status codes (grpc.io/docs/guides/status-codes). */
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;

/** How long closed workflows stay readable in a namespace that we make. */
const RETENTION_MILLIS = 30 * 86_400_000;

const KNOWN_MILLIS_MAX = 60_000;

const VALUE_TYPES = proto.temporal.api.enums.v1.IndexedValueType;

type ValueType = proto.temporal.api.enums.v1.IndexedValueType;

/**
 * Makes sure that the namespace and the search attributes exist on a Temporal server. Where the server does not let us
 * (Temporal Cloud, a restricted key), a namespace that is missing is an error; missing attributes are reported with the
 * command that adds them.
 */
export async function ensureTemporal(connection: Connection, options: EnsureOptions): Promise<void> {
  await ensureNamespace(connection, options);
  await ensureSearchAttributes(connection, options);
}

async function ensureNamespace(connection: Connection, { namespace, logger }: EnsureOptions): Promise<void> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return;
  } catch (error) {
    // A key that may use a namespace but not describe it is normal on Temporal Cloud.
    if (codeOf(error) === PERMISSION_DENIED) return;
    if (codeOf(error) !== NOT_FOUND) throw error;
  }
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs(RETENTION_MILLIS),
    });
    logger.info({ namespace }, 'made the Temporal namespace');
  } catch (error) {
    if (codeOf(error) !== ALREADY_EXISTS) {
      throw new Error(
        `the Temporal namespace ${namespace} does not exist and could not be made: ${String(error)}`,
      );
    }
  }
  await waitUntilKnown(connection, namespace);
}

/** Every part of the server refreshes its own list of namespaces, some only every ten seconds. */
async function waitUntilKnown(connection: Connection, namespace: string): Promise<void> {
  const deadline = Date.now() + KNOWN_MILLIS_MAX;
  for (;;) {
    try {
      await connection.operatorService.listSearchAttributes({ namespace });
      return;
    } catch (error) {
      if (codeOf(error) !== NOT_FOUND) return;
      if (Date.now() > deadline) throw error;
    }
    await sleep(200);
  }
}

async function ensureSearchAttributes(connection: Connection, options: EnsureOptions): Promise<void> {
  const { namespace, searchAttributes, logger } = options;
  try {
    const present = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = Object.entries(searchAttributes).filter(([name]) => !(name in present.customAttributes));
    if (missing.length === 0) return;
    const wanted = Object.fromEntries(missing.map(([name, type]) => [name, valueType(type)]));
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: wanted });
    logger.info({ namespace, added: Object.keys(wanted) }, 'added Temporal search attributes');
  } catch (error) {
    const code = codeOf(error);
    if (code === ALREADY_EXISTS) return;
    if (code !== PERMISSION_DENIED && code !== UNIMPLEMENTED) throw error;
    logger.warn(
      { namespace, wanted: searchAttributes },
      'may not look at or add Temporal search attributes here; add them with ' +
        '`temporal operator search-attribute create --namespace NS --name NAME --type TYPE`',
    );
  }
}

function valueType(type: string): ValueType {
  const name = `INDEXED_VALUE_TYPE_${type.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase()}`;
  const value = (VALUE_TYPES as unknown as Record<string, ValueType | undefined>)[name];
  if (value === undefined) throw new Error(`unknown type of search attribute: ${type}`);
  return value;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

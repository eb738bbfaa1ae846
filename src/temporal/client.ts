import { readFile } from 'node:fs/promises';
import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import { NativeConnection, type NativeConnectionOptions } from '@temporalio/worker';

/** Where Temporal is and how to get in; the names of Temporal's own variables. */
export interface TemporalTarget {
  address: string;
  namespace: string;
  apiKey?: string | undefined;
  /** Paths of a client certificate and its key. */
  tlsCertPath?: string | undefined;
  tlsKeyPath?: string | undefined;
}

/** A client for messages and starts. Connects lazily: the server may come later. */
export async function connectClient(target: TemporalTarget): Promise<Client> {
  const connection = Connection.lazy(await connectionOptions(target));
  return new Client({ connection, namespace: target.namespace });
}

/** The worker's own connection. Connects at once and fails when the server is away. */
export async function connectWorker(target: TemporalTarget): Promise<NativeConnection> {
  return NativeConnection.connect(await connectionOptions(target));
}

async function connectionOptions(
  target: TemporalTarget,
): Promise<NativeConnectionOptions & ConnectionOptions> {
  const { address, apiKey, tlsCertPath, tlsKeyPath } = target;
  if (tlsCertPath !== undefined && tlsKeyPath !== undefined) {
    const [crt, key] = await Promise.all([readFile(tlsCertPath), readFile(tlsKeyPath)]);
    return { address, tls: { clientCertPair: { crt, key } }, ...(apiKey === undefined ? {} : { apiKey }) };
  }
  return { address, ...(apiKey === undefined ? {} : { apiKey, tls: true }) };
}

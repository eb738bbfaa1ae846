import 'vitest';

/** What the global set-up hands to every test file through `inject('durabill')`. */
export interface ProvidedServers {
  /** Connection string of the migrated template database; connect to its server, never to it. */
  readonly templateDatabaseUrl: string;
  readonly postgresMajorVersion: number;
  /** `host:port` of the shared Temporal server, which has native time skipping switched on. */
  readonly temporalAddress: string;
  readonly temporalUiUrl: string;
  /** The `temporal` program, for tests that start a server of their own. */
  readonly temporalBinary: string;
  /** The prebuilt workflow bundle, or why there is none: only tests with a worker depend on it. */
  readonly workflowBundle: WorkflowBundle;
}

export type WorkflowBundle = { readonly path: string } | { readonly problem: string };

declare module 'vitest' {
  interface ProvidedContext {
    durabill: ProvidedServers;
  }
}

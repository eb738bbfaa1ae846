import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, describeVariables, envExample, helpText, readConfig } from '../../src/config.js';

function problemsOf(args: string[], env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(args, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('the settings', () => {
  test('without any, everything is embedded and local', () => {
    expect(readConfig([], {})).toEqual({
      role: 'all',
      dataDir: resolve('.durabill'),
      host: '127.0.0.1',
      port: 4000,
      portIsExplicit: false,
      json: false,
      logLevel: 'info',
      databaseUrl: null,
      temporal: { address: null, namespace: 'default', apiKey: null, tlsCertPath: null, tlsKeyPath: null },
      signalBudgetPerSecond: 100,
      dueSpreadSeconds: 0,
      withoutEffect: [],
    });
  });

  test('flags and variables are read', () => {
    const env = {
      DATABASE_URL: 'postgres://u:p@db:5432/x',
      TEMPORAL_ADDRESS: 'temporal.example:7233',
      TEMPORAL_NAMESPACE: 'billing',
      TEMPORAL_TLS_CERT: '/c.pem',
      TEMPORAL_TLS_KEY: '/k.pem',
      DURABILL_SIGNAL_BUDGET: '250',
      DURABILL_DUE_SPREAD_SECONDS: '600',
    };
    const config = readConfig(['--data-dir', '/data', '--port=0', '--role', 'worker', '--json'], env);
    expect(config).toMatchObject({
      role: 'worker',
      dataDir: '/data',
      port: 0,
      portIsExplicit: true,
      json: true,
      databaseUrl: env.DATABASE_URL,
      temporal: {
        address: env.TEMPORAL_ADDRESS,
        namespace: 'billing',
        tlsCertPath: '/c.pem',
        tlsKeyPath: '/k.pem',
      },
      signalBudgetPerSecond: 250,
      dueSpreadSeconds: 600,
    });
  });

  test('an empty variable counts as not set, as docker-compose passes it', () => {
    expect(readConfig([], { DATABASE_URL: '', DURABILL_SIGNAL_BUDGET: '' })).toMatchObject({
      databaseUrl: null,
      signalBudgetPerSecond: 100,
    });
  });

  test('every bad setting is reported at once, by name', () => {
    const problems = problemsOf(['--role', 'boss', '--port', '70000'], {
      DATABASE_URL: 'mysql://x',
      TEMPORAL_ADDRESS: 'http://temporal',
      DURABILL_SIGNAL_BUDGET: '1.5',
      DURABILL_PAYMENTS: 'bitcoin',
      DURABILL_LOG_LEVEL: 'loud',
    });
    const named = problems.map((problem) => problem.split(/[ :]/)[0]);
    expect(named.sort()).toEqual([
      '--port',
      '--role',
      'DATABASE_URL',
      'DURABILL_LOG_LEVEL',
      'DURABILL_PAYMENTS',
      'DURABILL_SIGNAL_BUDGET',
      'TEMPORAL_ADDRESS',
    ]);
  });

  test('an unknown flag, half a TLS pair and a namespace without an address are refused', () => {
    expect(problemsOf(['--prot', '1'], {})[0]).toContain('--prot');
    expect(problemsOf([], { TEMPORAL_TLS_CERT: '/c.pem' })[0]).toContain('set both or none');
    expect(problemsOf([], { TEMPORAL_NAMESPACE: 'billing' })[0]).toContain('TEMPORAL_ADDRESS');
  });

  test('what this version cannot do is refused, not pretended', () => {
    expect(problemsOf([], { DURABILL_PAYMENTS: 'stripe' })[0]).toContain('not available');
    expect(problemsOf([], { DURABILL_ENCRYPTION_KEYS: 'k1,k2' })[0]).toContain('would not be encrypted');
    expect(readConfig([], { STRIPE_SECRET_KEY: 'sk_test_1' })).toMatchObject({
      withoutEffect: ['STRIPE_SECRET_KEY'],
    });
  });

  test('help names every flag and every variable', () => {
    expect(readConfig(['--help', '--json'], {})).toBe('help');
    for (const { name } of describeVariables()) expect(helpText()).toContain(name);
    for (const flag of ['--data-dir', '--port', '--role', '--json']) expect(helpText()).toContain(flag);
  });

  test('.env.example is what the schema says', () => {
    expect(readFileSync('.env.example', 'utf8')).toBe(envExample());
  });
});

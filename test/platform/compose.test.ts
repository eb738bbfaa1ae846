import { existsSync, readFileSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { describeVariables, readConfig } from '../../src/config.js';

interface Service {
  image?: string;
  command?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
  build?: { context: string; dockerfile: string };
}

interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
}

const text = readFileSync('docker-compose.yml', 'utf8');
const compose = parse(text, { merge: true }) as Compose;
const services = Object.entries(compose.services);

/** What compose makes of a value when nothing is set: `${NAME:-default}` → `default`. */
function withDefaults(value: string): string {
  return value.replace(/\$\{[A-Z_]+:-([^}]*)\}/g, '$1');
}

describe('docker-compose.yml (its structure; it is not run here)', () => {
  test('has every part of a team installation', () => {
    expect(Object.keys(compose.services)).toEqual(
      expect.arrayContaining(['postgres', 'temporal', 'temporal-ui', 'api', 'worker']),
    );
  });

  test('starts with nothing set: every variable has a default', () => {
    const bare = text.match(/\$\{[^}]*\}/g)!.filter((use) => !/^\$\{[A-Z_]+:-[^}]+\}$/.test(use));
    expect(bare).toEqual([]);
  });

  test('binds every port to this machine', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []).map(withDefaults);
    expect(ports.length).toBeGreaterThanOrEqual(4);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    expect(new Set(ports.map((port) => port.split(':')[1])).size).toBe(ports.length);
  });

  test('everything that stays up has a health check, and starts wait for what they need', () => {
    const oneShot = new Set(['temporal-schema']);
    for (const [name, service] of services) {
      if (!oneShot.has(name)) expect(service.healthcheck?.test.length, name).toBeGreaterThan(1);
      for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(compose.services[needed], `${name} needs ${needed}`).toBeDefined();
        const expected = oneShot.has(needed) ? 'service_completed_successfully' : 'service_healthy';
        expect(condition, `${name} waits for ${needed}`).toBe(expected);
      }
    }
  });

  test('images are pinned, volumes are declared, mounted files exist', () => {
    for (const [name, service] of services) {
      expect(withDefaults(service.image ?? ''), name).toMatch(/^[a-z/-]+:(?!latest)[\w.]+$/);
      for (const volume of service.volumes ?? []) {
        const source = volume.split(':')[0]!;
        if (source.startsWith('.')) expect(existsSync(source), source).toBe(true);
        else expect(Object.keys(compose.volumes)).toContain(source);
      }
    }
  });

  test('api and worker are one image with settings that the engine accepts', () => {
    const { api, worker } = compose.services as { api: Service; worker: Service };
    expect(api.image).toBe(worker.image);
    expect(existsSync(api.build!.dockerfile)).toBe(true);
    const known = describeVariables().map(({ name }) => name);
    for (const [role, service] of [
      ['api', api],
      ['worker', worker],
    ] as const) {
      const env = Object.fromEntries(
        Object.entries(service.environment!).map(([name, value]) => [name, withDefaults(value)]),
      );
      expect(known).toEqual(expect.arrayContaining(Object.keys(env)));
      const entrypoint = /ENTRYPOINT (\[.*\])/.exec(readFileSync('deploy/Dockerfile', 'utf8'))![1]!;
      const started = JSON.parse(entrypoint) as string[];
      const args = started.slice(started.indexOf('dist/src/main.js') + 1);
      expect(readConfig([...args, ...service.command!], env)).toMatchObject({
        role,
        port: 4000,
        databaseUrl: 'postgresql://durabill:durabill@postgres:5432/durabill',
        temporal: { address: 'temporal:7233' },
      });
    }
  });
});

test('the image gets every source folder that the build reads, and nothing of a checkout besides', () => {
  const dockerfile = readFileSync('deploy/Dockerfile', 'utf8');
  const ignore = readFileSync('.dockerignore', 'utf8').trim().split('\n');
  expect(ignore[0]).toBe('*');
  const allowed = ignore.slice(1).map((line) => line.replace(/^!/, ''));
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) =>
    match[1]!.split(' '),
  );
  expect(copied.sort()).toEqual([...allowed].sort());
  for (const path of copied) expect(existsSync(path), path).toBe(true);
  expect(statSync('deploy/temporal/setup.sh').mode & 0o111).not.toBe(0);
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDemoArgs } from '../../src/demo/args.js';
import { createClient } from '../../src/demo/client.js';
import { billFile } from '../../src/demo/eventsRun.js';
import type { Screen } from '../../src/terminal/screen.js';
import { tellStory } from '../../src/demo/story.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';

const folder = mkdtempSync(join(tmpdir(), 'durabill-demo-'));

function recordingScreen(): { screen: Screen; text: () => string } {
  const lines: string[] = [];
  const ignore = (): void => undefined;
  return {
    screen: { print: (...printed) => lines.push(...printed), status: ignore, clear: ignore },
    text: () => lines.join('\n'),
  };
}

describe('the demo', () => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await startTestEngine();
  });
  afterAll(async () => {
    await engine.stop();
    rmSync(folder, { recursive: true });
  });
  const client = () => createClient(engine.baseUrl, engine.apiKey);

  test('tells its story, and every invoice is right', async () => {
    const { screen, text } = recordingScreen();
    const result = await tellStory(client(), screen);
    expect(text()).not.toMatch(/NOT MATCH|WRONG/);
    expect(result.ok).toBe(true);
    expect(text().match(/^Invoice /gm)).toHaveLength(25);
    expect(text()).toContain('12 duplicates refused');
    expect(text()).toMatch(/ALERT: 5\d\d,\d{3} API calls/);
    expect(text()).toContain('Late usage for 31 May 2028 - 30 Jun 2028:');
    for (const end of ['29 Feb', '31 Mar', '30 Apr'])
      expect(text()).toMatch(new RegExp(`^Invoice .* ${end} 2028`, 'm'));
  }, 180_000);

  test('bills a file: several months, customers by name, a repeated row once, bad rows by their lines', async () => {
    const file = join(folder, 'usage.csv');
    const rows = [
      'when;who;n;id',
      '2024-01-31T23:59:59Z;Acme;10.5;a',
      '2024-02-15 10:00:00;"Beta; Inc";1000;c',
      '2024-02-15 10:00:00;"Beta; Inc";1000;c',
      '2024-02-30 10:00:00;Acme;1;d',
      '2024-03-15 10:00:00;Acme;123456789.1234567;f',
      '1710583200;Delta;7;h',
    ];
    writeFileSync(file, `\ufeff${rows.join('\r\n')}`);
    const args = ['--events', file, '--delimiter', ';', '--price', 'package:3=0.05'];
    const options = parseDemoArgs(
      [...args, '--map', 'timestamp=when,value=n,customer=who,identifier=id'],
      folder,
    );
    if (options === 'help' || options.events === null) throw new Error('no options');
    const { screen, text } = recordingScreen();
    const result = await billFile(client(), screen, options.events);
    expect(result.ok).toBe(true);
    expect(text()).toContain("line 5: '2024-02-30 10:00:00' in when is not a time");
    expect(text()).toMatch(/line 6: .*more than 15 significant digits/);
    expect(text()).toContain('Rows billed: 3, duplicates: 1, not usable: 2.');
    expect(text()).toMatch(/\| Acme +\| +2 \| +\$0\.20 \|/);
    expect(text()).toMatch(/\| Beta; Inc +\| +2 \| +\$16\.70 \|/);
    expect(text()).toMatch(/\| Delta +\| +2 \| +\$0\.15 \|/);
  }, 120_000);
});

import { describe, expect, test } from 'vitest';
import { createScreen, progressBar } from '../../src/terminal/screen.js';
import { renderTable } from '../../src/demo/table.js';

describe('a table', () => {
  test('is as wide as its widest cells, in plain ASCII', () => {
    const columns = [
      { title: 'Line', align: 'left', maxWidth: 16 },
      { title: 'Amount', align: 'right' },
    ] as const;
    const rows = [
      ['31 call × API (Tier 2 at $0.036 / month)', '$1.12'],
      ['1 – 2', '$10,000.00'],
      null,
      ['Total', '$10,001.12'],
    ];
    expect(renderTable(columns, rows)).toEqual([
      '+-----------------+------------+',
      '| Line            |     Amount |',
      '+-----------------+------------+',
      '| 31 call x API   |      $1.12 |',
      '| (Tier 2 at      |            |',
      '| $0.036 / month) |            |',
      '| 1 - 2           | $10,000.00 |',
      '+-----------------+------------+',
      '| Total           | $10,001.12 |',
      '+-----------------+------------+',
    ]);
  });

  test('keeps a word that is longer than its column', () => {
    const [, , , row] = renderTable([{ title: 'A', align: 'left', maxWidth: 3 }], [['abcdef']]);
    expect(row).toBe('| abcdef |');
  });
});

describe('progress', () => {
  function recorder(isTTY: boolean) {
    const written: string[] = [];
    let time = 0;
    const screen = createScreen({ isTTY, columns: 50, write: (text) => written.push(text) }, () => time);
    return { screen, written, pass: (ms: number) => (time += ms) };
  }

  test('on a terminal is one line that is written over and wiped before what stays', () => {
    const { screen, written } = recorder(true);
    screen.status('one');
    screen.status('a line that is longer than the terminal is wide, so it is cut');
    screen.print('done');
    const wipe = '\r\u001b[2K';
    expect(written).toEqual([
      'one',
      wipe,
      'a line that is longer than the terminal is wide, ',
      wipe,
      'done\n',
    ]);
  });

  test('elsewhere is a plain line now and then', () => {
    const { screen, written, pass } = recorder(false);
    screen.status('one');
    screen.status('too soon');
    pass(5001);
    screen.status('one');
    expect(written).toEqual(['one\n']);
    screen.status('two');
    pass(5001);
    screen.status('three');
    expect(written).toEqual(['one\n', 'two\n', 'three\n']);
  });

  test('has a bar', () => {
    expect(progressBar(0, 12)).toBe('[------------------------] 0 of 12');
    expect(progressBar(6, 12)).toBe('[############------------] 6 of 12');
    expect(progressBar(1200, 1200)).toBe('[########################] 1,200 of 1,200');
    expect(progressBar(0, 0)).toBe('[########################] 0 of 0');
  });
});

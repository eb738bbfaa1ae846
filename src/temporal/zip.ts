import { inflateRawSync } from 'node:zlib';

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_ENTRY = 0x04034b50;
const END_BYTES = 22;
const COMMENT_BYTES_MAX = 0xffff;
const STORED = 0;
const DEFLATED = 8;

/**
 * Reads one file out of a ZIP archive (a Python wheel is one). Covers stored and deflated entries below 4 GiB, which
 * is all that wheels hold (PKWARE APPNOTE 4.3). Throws when the archive is damaged or has no such entry.
 */
export function readZipEntry(archive: Buffer, name: string): Buffer {
  const end = findEndOfDirectory(archive);
  const count = archive.readUInt16LE(end + 10);
  let at = archive.readUInt32LE(end + 16);
  for (let index = 0; index < count; index += 1) {
    if (archive.readUInt32LE(at) !== DIRECTORY_ENTRY) throw new Error('damaged ZIP: bad directory entry');
    const nameLength = archive.readUInt16LE(at + 28);
    const entryName = archive.toString('utf8', at + 46, at + 46 + nameLength);
    if (entryName === name) return extract(archive, at);
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  throw new Error(`the ZIP archive has no ${name}`);
}

function findEndOfDirectory(archive: Buffer): number {
  const lowest = Math.max(0, archive.length - END_BYTES - COMMENT_BYTES_MAX);
  for (let at = archive.length - END_BYTES; at >= lowest; at -= 1) {
    if (archive.readUInt32LE(at) === END_OF_DIRECTORY) return at;
  }
  throw new Error('not a ZIP archive');
}

function extract(archive: Buffer, directoryEntry: number): Buffer {
  const method = archive.readUInt16LE(directoryEntry + 10);
  const compressedSize = archive.readUInt32LE(directoryEntry + 20);
  const size = archive.readUInt32LE(directoryEntry + 24);
  const local = archive.readUInt32LE(directoryEntry + 42);
  if (archive.readUInt32LE(local) !== LOCAL_ENTRY) throw new Error('damaged ZIP: bad local entry');
  // The local header repeats name and extra field with lengths of its own.
  const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
  const data = archive.subarray(start, start + compressedSize);
  if (method !== STORED && method !== DEFLATED) throw new Error(`unsupported ZIP method ${method}`);
  const content = method === STORED ? Buffer.from(data) : inflateRawSync(data, { maxOutputLength: size });
  if (content.length !== size) throw new Error('damaged ZIP: wrong length');
  return content;
}

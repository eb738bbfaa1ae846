import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { invalid } from '../domain/errors.js';
import { readBody, tooLarge, utf8 } from './body.js';

const gunzipAsync = promisify(gunzip);

/**
 * The text of a body that may be gzipped, at most `bytesMax` bytes before and after unpacking. Unpacking stops where
 * the limit is passed, so a small body that unpacks to a huge one costs no more than an honest one.
 */
export async function readText(request: IncomingMessage, bytesMax: number): Promise<string> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const body = await readBody(request, bytesMax);
  if (encoding === 'identity') return utf8(body);
  if (encoding !== 'gzip' && encoding !== 'x-gzip') {
    throw invalid(
      `Invalid request: the content encoding '${encoding.slice(0, 40)}' is not supported; send gzip.`,
    );
  }
  return utf8(await unpack(body, bytesMax));
}

async function unpack(body: Buffer, bytesMax: number): Promise<Buffer> {
  try {
    return await gunzipAsync(body, { maxOutputLength: bytesMax });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax);
    throw invalid('Invalid request: the body is not valid gzip.');
  }
}

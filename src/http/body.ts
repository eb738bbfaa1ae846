import type { IncomingMessage } from 'node:http';
import { invalid } from '../domain/errors.js';
import type { BillingError } from '../domain/errors.js';
import { decodeForm } from './form.js';
import { checkedTree } from './tree.js';
import type { ParamTree } from './tree.js';

const BODY_BYTES_MAX = 1024 * 1024;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The whole body, at most `bytesMax` bytes. Larger ones are refused (413) without being read to their end. */
export async function readBody(request: IncomingMessage, bytesMax = BODY_BYTES_MAX): Promise<Buffer> {
  const announced = request.headers['content-length'];
  if (announced !== undefined && BigInt(announced) > BigInt(bytesMax)) throw tooLarge(bytesMax);
  return collect(request, bytesMax);
}

/** With listeners: an async iterator costs as much as the rest of a small request. */
function collect(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > bytesMax) reject(tooLarge(bytesMax));
      else chunks.push(chunk);
    });
    request.on('end', () => {
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size));
    });
    request.on('error', reject);
    request.on('aborted', () => {
      reject(invalid('Invalid request: the body ended early.'));
    });
  });
}

/** The parameters in a body: form (Stripe's own), or JSON, which is tolerated. */
export function decodeBody(body: Buffer, contentType: string | undefined): ParamTree {
  if (body.length === 0) return checkedTree({});
  const type = (contentType ?? 'application/x-www-form-urlencoded').split(';')[0]?.trim().toLowerCase();
  if (type === 'application/x-www-form-urlencoded') return decodeForm(utf8(body));
  if (type === 'application/json') return decodeJson(utf8(body));
  throw invalid(
    'Invalid request (check that your POST content type is application/x-www-form-urlencoded or ' +
      `application/json; got '${type ?? ''}').`,
  );
}

function decodeJson(text: string): ParamTree {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('Invalid request: the body is not valid JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('Invalid request: the body must be a JSON object.');
  }
  return checkedTree(value);
}

/** The text, refused when it is no UTF-8. */
export function utf8(body: Buffer): string {
  try {
    return decoder.decode(body);
  } catch {
    throw invalid('Invalid request: the body is not valid UTF-8.');
  }
}

/** A body that is larger than it may be (413). */
export function tooLarge(bytesMax: number): BillingError {
  return invalid(`Request body too large: at most ${bytesMax} bytes are accepted.`, {
    code: 'request_too_large',
    retry: false,
  });
}

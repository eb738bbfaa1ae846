import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BillingError } from '../../src/domain/errors.js';
import { decodeBody } from '../../src/http/body.js';
import { decodeForm } from '../../src/http/form.js';
import type { ParamNode, ParamTree } from '../../src/http/tree.js';

const plain = (tree: ParamTree): unknown => JSON.parse(JSON.stringify(tree));
const decode = (text: string): unknown => plain(decodeForm(text));
const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof BillingError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
};

describe('a form body', () => {
  it('nests by brackets, as the official clients write them', () => {
    expect(decode('items[0][price]=p&items[0][quantity]=2&items[1][price]=q&customer=cus_1')).toEqual({
      items: { 0: { price: 'p', quantity: '2' }, 1: { price: 'q' } },
      customer: 'cus_1',
    });
    expect(decode('expand[]=a&expand[]=b.c')).toEqual({ expand: ['a', 'b.c'] });
    expect(decode('expand%5B0%5D=a&metadata%5Bk%20ey%5D=v')).toEqual({
      expand: { 0: 'a' },
      metadata: { 'k ey': 'v' },
    });
    expect(decode('tiers[][up_to]=1&tiers[][unit_amount]=2&tiers[][up_to]=inf')).toEqual({
      tiers: [{ up_to: '1', unit_amount: '2' }, { up_to: 'inf' }],
    });
  });

  it('decodes percent and plus, keeps empty values, lets the last of equals win', () => {
    expect(decode('a=1+2%2B3&b=&c&d=x%3Dy=z&a=last&&e=%E2%82%AC')).toEqual({
      a: 'last',
      b: '',
      c: '',
      d: 'x=y=z',
      e: '€',
    });
    expect(decode('')).toEqual({});
  });

  it.each([
    ['%zz=1'],
    ['a=%E2%82'],
    ['[a]=1'],
    ['=1'],
    ['a]=1'],
    ['a[b=1'],
    ['a[b]c=1'],
    ['a[[b]]=1'],
    ['a=1&a[b]=2'],
    ['a[b]=1&a=2'],
    ['a[]=1&a[b]=2'],
    ['a[b]=1&a[]=2'],
    ['a[][]=1'],
    [`a${'[b]'.repeat(20)}=1`],
  ])('refuses %s', (text) => {
    expect(refusal(() => decodeForm(text))).toMatch(/^Invalid request/);
  });

  it('refuses more parameters than anyone needs', () => {
    expect(refusal(() => decodeForm('a=1&'.repeat(10_001)))).toMatch(/at most 10000 parameters/);
  });

  it.each([
    '__proto__[polluted]=1',
    'a[__proto__][polluted]=1',
    '__proto__=1',
    'constructor[prototype][polluted]=1',
  ])('can’t reach a prototype: %s', (text) => {
    try {
      const tree = decodeForm(text);
      expect(Object.getPrototypeOf(tree)).toBeNull();
    } catch (error) {
      expect(error).toMatchObject({ code: 'parameter_unknown' });
    }
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('gives back every tree that a client can send', () => {
    const key = fc.stringMatching(/^[a-z_ é&=+%.]{1,8}$/u).filter((text) => text !== '__proto__');
    const { tree } = fc.letrec<{ tree: ParamTree; node: ParamNode }>((tie) => ({
      tree: fc.dictionary(key, tie('node'), { maxKeys: 4, minKeys: 1, noNullPrototype: false }),
      node: fc.oneof({ depthSize: 'small', maxDepth: 4 }, fc.string({ unit: 'grapheme' }), tie('tree')),
    }));
    fc.assert(
      fc.property(tree, (sent) => {
        expect(decode(encode(sent).join('&'))).toEqual(plain(sent));
      }),
      { numRuns: 300 },
    );
  });
});

function encode(node: ParamNode, name = ''): string[] {
  if (typeof node !== 'object' || node === null) {
    return [`${name}=${encodeURIComponent(String(node))}`];
  }
  return Object.entries(node).flatMap(([key, value]) => {
    const part = encodeURIComponent(key);
    return encode(value, name === '' ? part : `${name}[${part}]`);
  });
}

describe('a JSON body', () => {
  const json = (text: string) => decodeBody(Buffer.from(text), 'application/json; charset=utf-8');

  it('is tolerated', () => {
    expect(plain(json('{"a":{"b":[1,true,null]},"c":"x"}'))).toEqual({ a: { b: [1, true, null] }, c: 'x' });
    expect(plain(decodeBody(Buffer.from(''), 'application/json'))).toEqual({});
  });

  it.each(['{', '[]', '1', 'null', '"x"', ''.padEnd(3, '{')])('must be an object: %s', (text) => {
    expect(refusal(() => json(text))).toMatch(/^Invalid request/);
  });

  it('can’t reach a prototype, nest without end, or be something else', () => {
    expect(refusal(() => json('{"a":{"__proto__":{"polluted":1}}}'))).toBe(
      'Received unknown parameter: a[__proto__]',
    );
    expect(refusal(() => json(`{"a":${'['.repeat(50)}${']'.repeat(50)}}`))).toMatch(/levels deep/);
    expect(refusal(() => decodeBody(Buffer.from('x'), 'multipart/form-data; boundary=y'))).toMatch(
      /content type/,
    );
    expect(refusal(() => decodeBody(Buffer.from([0xff, 0xfe]), undefined))).toMatch(/UTF-8/);
  });
});

import { describe, expect, it } from 'vitest';
import { jwkOf, type KeyName, keyPair } from '../../test/vectors/run/token-input.ts';
import type { JwsAlgorithm } from '../jwt/algorithm.ts';
import { readWitSvidKey } from './confirmation.ts';

// Keys that are missing, public, malformed or another's: test/vectors/wit-svid.json, V-W-44 and 45.

const b64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64url');
const ORDER = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';

function read(name: KeyName, algorithm: JwsAlgorithm, over: object): unknown {
  const text = JSON.stringify({ ...jwkOf('private', name), ...over });
  return readWitSvidKey(text, { key: keyPair(name).publicKey, algorithm });
}

const REFUSAL = {
  name: 'SpiffeError',
  code: 'invalid-key',
  message: expect.stringMatching(/^key of the WIT-SVID: /) as unknown,
};

function refusalOf(name: KeyName, algorithm: JwsAlgorithm, over: object): unknown {
  try {
    read(name, algorithm, over);
    return undefined;
  } catch (error) {
    expect(error).not.toHaveProperty('cause');
    return error;
  }
}

describe('readWitSvidKey', () => {
  it('takes the alg of the token, or none', () => {
    expect(read('mine', 'ES256', {})).toMatchObject({ algorithm: 'ES256' });
    expect(read('rsa', 'PS256', { alg: 'PS256', kid: 'x', use: 'sig' })).toMatchObject({ algorithm: 'PS256' });
    expect(() => read('rsa', 'PS256', { alg: 'RS256' })).toThrow('its alg is not that of the token');
  });

  it.each([
    ['0', b64('00'.repeat(32))],
    ['the order of the curve', b64(ORDER)],
    ['more than the order', b64('ff'.repeat(32))],
    ['one byte', b64('01')],
    ['40 bytes', b64('01'.repeat(40))],
    ['nothing', ''],
    ['a number', 7],
    ['null', null],
  ])('refuses a P-256 key whose secret is %s', (_what, d) => {
    expect(refusalOf('mine', 'ES256', { d })).toMatchObject(REFUSAL);
  });

  it.each(['d', 'p', 'q', 'dp', 'dq', 'qi'])('fails in one way only for an RSA key with %s of no sense', (member) => {
    for (const value of ['', 'AA', 'AQ', 'Ag', b64('ff'.repeat(256)), 7, null]) {
      const error = refusalOf('rsa', 'RS256', { [member]: value });
      // OpenSSL finds its way around one number that is wrong; a key that signs right all the same is the key.
      if (error !== undefined) expect(error).toMatchObject(REFUSAL);
    }
  });

  it('tells nothing of the key', () => {
    const { d } = jwkOf('private', 'mine');
    expect(() => read('mine', 'ES256', { x: d })).toThrow(expect.not.stringContaining(String(d)));
  });
});

import { generateKeyPairSync } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { issueCa } from '../../test/support/pki.ts';
import { openssl } from '../../test/support/openssl.ts';
import { certificatesFromPem, certificatesToPem, decodePem, encodePem } from './pem.ts';

const one = issueCa().der;
const two = issueCa().der;
const invalid = (message: RegExp): object =>
  expect.objectContaining({ code: 'invalid-pem', message: expect.stringMatching(message) });

describe('encodePem', () => {
  it('writes what openssl writes', () => {
    expect(certificatesToPem([one])).toBe(openssl(['x509', '-inform', 'DER'], one));
  });

  it('comes back, whatever the length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
        const text = encodePem('SOME THING', bytes);
        expect(text.split('\n').every((line) => line.length <= 64)).toBe(true);
        const block = { label: 'SOME THING', der: Buffer.from(bytes) };
        expect(decodePem(text + text)).toEqual([block, block]);
      }),
    );
  });
});

describe('decodePem', () => {
  it('passes over text between blocks, and takes any line ends', () => {
    const text = `subject: x\r\n${certificatesToPem([one]).replaceAll('\n', '\r\n')}\r\nmore\n${certificatesToPem([two])}`;
    expect(certificatesFromPem(text)).toEqual([one, two]);
  });

  it('reads one long line, a missing last newline and old headers', () => {
    const base64 = one.toString('base64');
    expect(decodePem(`-----BEGIN X-----\nComment: y\n\n${base64}\n-----END X-----`)).toEqual([
      { label: 'X', der: one },
    ]);
  });

  it('reads a key of openssl', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const text = openssl(['pkey'], privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const der = privateKey.export({ type: 'pkcs8', format: 'der' });
    expect(decodePem(text)).toEqual([{ label: 'PRIVATE KEY', der }]);
  });

  it.each([
    ['no end', '-----BEGIN X-----\nAAAA\n', /X has no end/],
    ['no end before the next', '-----BEGIN X-----\nAAAA\n-----BEGIN Y-----\n', /X has no end/],
    ['no beginning', '-----END X-----\n', /X has no matching edges/],
    ['different edges', '-----BEGIN X-----\nAAAA\n-----END Y-----\n', /no matching edges/],
    ['no content', '-----BEGIN X-----\n-----END X-----\n', /not well-formed base64/],
    ['base64url', '-----BEGIN X-----\nAA-_\n-----END X-----\n', /not well-formed base64/],
    ['padding in the middle', '-----BEGIN X-----\nAA==\nAAAA\n-----END X-----\n', /not well-formed base64/],
    ['a half byte', '-----BEGIN X-----\nAAAAA\n-----END X-----\n', /not well-formed base64/],
    ['encryption', '-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END X-----\n', /is encrypted/],
  ])('refuses %s', (_name, text, message) => {
    expect(() => decodePem(text)).toThrow(invalid(message));
  });

  it('throws nothing but its own error', () => {
    const line = fc.constantFrom('-----BEGIN X-----', '-----END X-----', '-----', 'AAAA', 'a: b', '', 'AA==', '=');
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        try {
          for (const { label } of decodePem(lines.join('\n'))) expect(label).toBe('X');
        } catch (error) {
          expect(error).toMatchObject({ name: 'SpiffeError', code: 'invalid-pem' });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('certificatesFromPem', () => {
  it('refuses no blocks and other blocks', () => {
    expect(() => certificatesFromPem('nothing here')).toThrow(invalid(/no PEM blocks/));
    expect(() => certificatesFromPem(encodePem('PRIVATE KEY', one))).toThrow(invalid(/got PRIVATE KEY/));
  });
});

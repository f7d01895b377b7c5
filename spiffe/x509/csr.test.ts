import 'reflect-metadata';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from '@peculiar/x509';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openssl } from '../../test/support/openssl.ts';
import { newTestKey, type TestKeyKind } from '../../test/support/pki.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { createCsr, parseCsr, verifyCsrSignature } from './csr.ts';
import { bitString, encode, integer, objectIdentifier, sequence, setOf } from './der-writer.ts';
import { generateSigner } from './key.ts';
import { EMPTY_NAME, encodeName, formatName } from './name.ts';

const signer = await generateSigner('ec-p256');
const subject = encodeName({ country: ['US'], organization: ['SPIRE'], commonName: 'web' });
const der = await createCsr({ signer, subject, uris: ['spiffe://td/a'], dnsNames: ['web', 'api.test'] });
const keyFile = path.join(scratchFolder(), 'key.pem');
const invalid = (message: RegExp): object =>
  expect.objectContaining({ code: 'invalid-csr', message: expect.stringMatching(message) });

describe('createCsr', () => {
  it('writes a request that we, openssl and @peculiar/x509 read alike', async () => {
    const csr = parseCsr(der);
    expect(csr).toMatchObject({
      subject,
      publicKey: signer.publicKey,
      uris: ['spiffe://td/a'],
      dnsNames: ['web', 'api.test'],
    });
    expect(await verifyCsrSignature(csr)).toBe(true);

    const text = openssl(['req', '-inform', 'DER', '-noout', '-verify', '-text', '-nameopt', 'RFC2253'], der);
    expect(text).toContain(`Subject: ${formatName(subject)}`);
    expect(text).toContain('DNS:web, DNS:api.test, URI:spiffe://td/a');

    const oracle = new Pkcs10CertificateRequest(der);
    expect(await oracle.verify()).toBe(true);
    expect(oracle.extensions.find((one) => one instanceof SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
      { type: 'dns', value: 'web' },
      { type: 'dns', value: 'api.test' },
      { type: 'url', value: 'spiffe://td/a' },
    ]);
  });

  it.each(['ec-p384', 'rsa-2048'] as const)('signs with %s', async (keyType) => {
    const csr = parseCsr(await createCsr({ signer: await generateSigner(keyType), subject: EMPTY_NAME, uris: [] }));
    expect(csr.uris).toEqual([]);
    expect(await verifyCsrSignature(csr)).toBe(true);
  });
});

describe('verifyCsrSignature', () => {
  const made = (kind: TestKeyKind, ...args: string[]): Buffer => {
    const pem = newTestKey(kind).privateKey.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(keyFile, pem);
    const csr = openssl(['req', '-new', '-key', keyFile, '-subj', '/CN=x', '-outform', 'PEM', ...args]);
    return Buffer.from(csr.replaceAll(/-----.*-----/g, ''), 'base64');
  };

  it.each([
    ['P-256', '-sha256'],
    ['P-384', '-sha384'],
    ['P-521', '-sha512'],
    ['rsa-2048', '-sha256'],
    ['rsa-3072', '-sha512'],
    ['ed25519', '-sha256'],
  ] as const)('believes openssl with %s and %s', async (kind, digest) => {
    expect(await verifyCsrSignature(parseCsr(made(kind, digest)))).toBe(true);
  });

  it('believes RSA-PSS', async () => {
    const pss = ['-sha256', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'];
    expect(await verifyCsrSignature(parseCsr(made('rsa-2048', ...pss)))).toBe(true);
  });

  it.each(['P-256', 'rsa-2048'] as const)('believes no SHA-1 with %s', async (kind) => {
    expect(await verifyCsrSignature(parseCsr(made(kind, '-sha1')))).toBe(false);
  });

  it('refuses weak keys', async () => {
    await expect(verifyCsrSignature(parseCsr(made('rsa-1024', '-sha256')))).rejects.toMatchObject({
      code: 'invalid-key',
    });
  });

  it('notices any changed byte of the signed part', async () => {
    const { info } = parseCsr(der);
    const from = der.indexOf(info);
    await fc.assert(
      fc.asyncProperty(fc.nat(info.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const changed = Buffer.from(der);
        changed[from + at] = (changed[from + at] ?? 0) ^ change;
        let believed = false;
        try {
          believed = await verifyCsrSignature(parseCsr(changed));
        } catch (error) {
          expect(error).toMatchObject({ name: 'SpiffeError' });
        }
        expect(believed).toBe(false);
      }),
    );
  });
});

describe('parseCsr', () => {
  const build = (attributes: Buffer[], version = 0): Buffer =>
    sequence(
      sequence(integer(version), EMPTY_NAME, signer.publicKey, encode(0xa0, ...attributes)),
      sequence(objectIdentifier('1.2.840.10045.4.3.2')),
      bitString(Buffer.of(1)),
    );
  const requested = sequence(
    objectIdentifier('1.2.840.113549.1.9.14'),
    setOf(sequence(sequence(objectIdentifier('1.2.3'), encode(4)))),
  );

  it('passes over attributes that it does not know', () => {
    const password = sequence(objectIdentifier('1.2.840.113549.1.9.7'), setOf(encode(0x0c, Buffer.from('x'))));
    expect(parseCsr(build([password, requested])).extensions.map(({ oid }) => oid)).toEqual(['1.2.3']);
  });

  it('refuses what could be read in two ways', () => {
    expect(() => parseCsr(build([requested, requested]))).toThrow(invalid(/twice/));
    expect(() => parseCsr(build([], 1))).toThrow(invalid(/version/));
    expect(() => parseCsr(Buffer.concat([der, Buffer.of(0)]))).toThrow(invalid(/trailing/));
  });

  it('throws nothing but its own error', () => {
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.uint8Array({ maxLength: 3 }), fc.nat(3), (at, bytes, cut) => {
        const changed = Buffer.concat([der.subarray(0, at), bytes, der.subarray(at + cut)]);
        try {
          parseCsr(changed);
        } catch (error) {
          expect(error).toMatchObject({ name: 'SpiffeError', code: 'invalid-csr' });
        }
      }),
      { numRuns: 3000 },
    );
  });
});

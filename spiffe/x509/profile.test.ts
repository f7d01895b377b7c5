import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import * as peculiar from '@peculiar/x509';
import { describe, expect, it } from 'vitest';
import { openssl } from '../../test/support/openssl.ts';
import { newTestKey } from '../../test/support/pki.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { readVectors } from '../../test/support/vectors.ts';
import { parseSpiffeId } from '../id.ts';
import { KEY_TYPES } from '../signer.ts';
import { parseTrustDomain } from '../trust-domain.ts';
import { isSignedBy, parseCertificate } from './certificate.ts';
import { createCsr, parseCsr } from './csr.ts';
import { certificateSignerFromPrivateKey, generateSigner } from './key.ts';
import { EMPTY_NAME, formatName } from './name.ts';
import { certificatesToPem } from './pem.ts';
import {
  authorityId,
  caSubject,
  downstreamCaTemplate,
  selfSigned,
  selfSignedCaTemplate,
  signCertificate,
  subjectKeyId,
  SVID_SUBJECT,
  upstreamSignedCaTemplate,
  x509SvidTemplate,
} from './profile.ts';
import { encodeTbs } from './tbs.ts';
import { newSerialNumber } from './serial-number.ts';
import { algorithmIdentifier } from './signature.ts';
import { verifyX509Svid } from './verify.ts';

const scratch = scratchFolder();
const HOUR = 3_600_000;
const td = parseTrustDomain('example.org');
const id = parseSpiffeId('spiffe://example.org/ns/a/sa/b');

describe('the profiles, byte for byte as the reference writes them', () => {
  type Golden = { readonly signed: string; readonly subject: string };
  const golden = readVectors('x509-profile.json') as { now: number; publicKey: string } & Record<
    'ca' | 'leaf' | 'downstream' | 'csr' | 'unnamed',
    Golden
  >;
  const common = { now: golden.now, publicKey: Buffer.from(golden.publicKey, 'hex'), trustDomain: td, id };
  const algorithm = algorithmIdentifier('ecdsa-sha256');
  const subject = { country: ['US', 'DE'], organization: ['SPIFFE *'], commonName: 'Zoë' };
  const ca = selfSignedCaTemplate({ ...common, serialNumber: 2n ** 128n - 1n, ttlMs: 24 * HOUR, subject });
  const hour = { ...common, ttlMs: HOUR };

  it('self-signed CA', () => {
    const own = { subject: ca.subject, subjectKeyId: undefined };
    expect(encodeTbs(ca, own, algorithm).toString('hex')).toBe(golden.ca.signed);
    expect(formatName(ca.subject)).toBe(golden.ca.subject);
  });

  it('X509-SVID', () => {
    const leaf = x509SvidTemplate({ ...hour, serialNumber: 128n, dnsNames: ['web', 'api.test'], issuer: ca });
    expect(encodeTbs(leaf, ca, algorithm).toString('hex')).toBe(golden.leaf.signed);
    expect(formatName(leaf.subject)).toBe(golden.leaf.subject);
  });

  it('X509-SVID without a subject, whose SAN is critical', () => {
    const leaf = x509SvidTemplate({ ...hour, serialNumber: 128n, issuer: ca });
    expect(encodeTbs({ ...leaf, subject: EMPTY_NAME }, ca, algorithm).toString('hex')).toBe(golden.unnamed.signed);
  });

  it('downstream CA', () => {
    const lower = downstreamCaTemplate({ ...hour, serialNumber: 7n, issuer: { ...ca, chainLength: 1 } });
    expect(encodeTbs(lower, ca, algorithm).toString('hex')).toBe(golden.downstream.signed);
    expect(formatName(lower.subject)).toBe(golden.downstream.subject);
  });

  it('request to an upstream', async () => {
    const signer = { publicKey: common.publicKey, sign: async () => Buffer.of() };
    const csr = parseCsr(await createCsr({ signer, subject: ca.subject, uris: ['spiffe://example.org'] }));
    expect(csr.info.toString('hex')).toBe(golden.csr.signed);
    expect(formatName(csr.subject)).toBe(golden.csr.subject);
  });
});

describe('templates', () => {
  const now = Date.UTC(2030, 0, 1);
  const { spki: publicKey } = newTestKey();
  const common = { now, ttlMs: HOUR, publicKey, serialNumber: 5n, trustDomain: td, id };

  it('begin a little before now and end no later than their issuer', () => {
    expect(x509SvidTemplate({ ...common, issuer: { notAfter: now + 2 * HOUR } })).toMatchObject({
      notBefore: now - 10_000,
      notAfter: now + HOUR,
    });
    const capped = { notAfter: now + 60_000 };
    expect(x509SvidTemplate({ ...common, issuer: capped }).notAfter).toBe(capped.notAfter);
    const lower = downstreamCaTemplate({ ...common, issuer: { ...capped, subject: SVID_SUBJECT, chainLength: 1 } });
    expect(lower.notAfter).toBe(capped.notAfter);
    const upper = upstreamSignedCaTemplate({ ...common, subject: SVID_SUBJECT, uris: [], issuer: capped });
    expect(upper.notAfter).toBe(capped.notAfter);
  });

  it('name CAs by the configuration, else by default, and tell them apart by serial number', () => {
    expect(caSubject({}, 5n)).toEqual({ country: ['US'], organization: ['SPIFFE'], serialNumber: '5' });
    expect(caSubject({ commonName: 'x' }, 5n)).toEqual({ commonName: 'x', serialNumber: '5' });
    expect(caSubject({ commonName: 'x', serialNumber: 'own' }, 5n)).toEqual({ commonName: 'x', serialNumber: 'own' });
  });

  it('name X509-SVIDs as asked, with the first DNS name above all', () => {
    const nameOf = (fields: object): string =>
      formatName(x509SvidTemplate({ ...common, issuer: { notAfter: now }, ...fields }).subject);
    expect(nameOf({})).toBe('O=SPIRE,C=US');
    expect(nameOf({ subject: {} })).toBe('O=SPIRE,C=US');
    expect(nameOf({ subject: { commonName: 'mine' } })).toBe('CN=mine');
    expect(nameOf({ subject: { commonName: 'mine' }, dnsNames: ['web', 'x'] })).toBe('CN=web');
    expect(nameOf({ dnsNames: ['web'] })).toBe('CN=web,O=SPIRE,C=US');
  });

  it('can have more extensions, which replace those of the profile', async () => {
    const signer = await generateSigner('ec-p256');
    const template = x509SvidTemplate({ ...common, issuer: { notAfter: now } });
    const extraExtensions = [
      { oid: '2.5.29.37', critical: false, value: Buffer.from('300a06082b06010505070301', 'hex') },
      { oid: '1.2.3.4', critical: true, value: Buffer.of(5, 0) },
    ];
    const der = await signCertificate({ ...template, extraExtensions }, selfSigned(template, signer));
    expect(parseCertificate(der)).toMatchObject({ extKeyUsage: ['1.3.6.1.5.5.7.3.1'], unknownCritical: ['1.2.3.4'] });
  });

  it('refuse alternative names that X.509 cannot hold', async () => {
    const template = x509SvidTemplate({ ...common, dnsNames: ['zoë'], issuer: { notAfter: now } });
    const signer = await generateSigner('ec-p256');
    await expect(signCertificate(template, selfSigned(template, signer))).rejects.toMatchObject({
      code: 'invalid-certificate',
    });
  });
});

describe('newSerialNumber', () => {
  it('takes 16 random bytes, and others when all are zero', () => {
    const draws = [Buffer.alloc(16), Buffer.alloc(16, 0xff)];
    expect(newSerialNumber(() => draws.shift() ?? Buffer.of())).toBe(2n ** 128n - 1n);
    expect(draws).toEqual([]);
  });
});

describe('what we sign, as others read it', () => {
  const now = Date.now();

  it.each(KEY_TYPES)('is a chain that node, @peculiar/x509 and openssl believe, with %s', async (keyType) => {
    const rootKey = await generateSigner(keyType);
    const common = { now, ttlMs: HOUR, trustDomain: td, id };
    const rootTemplate = selfSignedCaTemplate({
      ...common,
      serialNumber: 1n,
      publicKey: rootKey.publicKey,
      subject: {},
    });
    const root = parseCertificate(await signCertificate(rootTemplate, selfSigned(rootTemplate, rootKey)));

    const caKey = await generateSigner('ec-p256');
    const lower = { ...common, serialNumber: 2n, publicKey: caKey.publicKey, issuer: { ...root, chainLength: 1 } };
    const ca = parseCertificate(await signCertificate(downstreamCaTemplate(lower), { signer: rootKey, ...root }));

    const { publicKey } = await generateSigner(keyType === 'rsa-4096' ? 'rsa-2048' : keyType);
    const leafFields = { ...common, serialNumber: 2n ** 127n, publicKey, dnsNames: ['web.test'], issuer: ca };
    const leaf = await signCertificate(x509SvidTemplate(leafFields), { signer: caKey, ...ca });

    expect(verifyX509Svid([leaf, ca.der], () => [root.der], now).id).toBe(id);

    const node = new X509Certificate(leaf);
    expect(node.verify(new X509Certificate(ca.der).publicKey)).toBe(true);
    expect(new X509Certificate(ca.der).checkIssued(new X509Certificate(root.der))).toBe(true);
    expect(node.serialNumber).toBe('80000000000000000000000000000000');
    expect(node.subjectAltName).toBe(`DNS:web.test, URI:${id}`);
    expect(node.publicKey.export({ type: 'spki', format: 'der' })).toEqual(publicKey);

    const oracle = new peculiar.X509Certificate(leaf);
    expect(await oracle.verify({ publicKey: new peculiar.X509Certificate(ca.der), date: new Date(now) })).toBe(true);
    expect(oracle.subject).toBe('C=US, O=SPIRE, CN=web.test');

    const files = [['root.pem', root.der] as const, ['ca.pem', ca.der] as const, ['leaf.pem', leaf] as const];
    for (const [name, der] of files) writeFileSync(path.join(scratch, name), certificatesToPem([der]));
    const [rootFile = '', caFile = '', leafFile = ''] = files.map(([name]) => path.join(scratch, name));
    const purpose = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', rootFile, '-untrusted', caFile];
    expect(openssl([...purpose, leafFile])).toContain('OK');
    const text = openssl(['x509', '-inform', 'DER', '-noout', '-text'], leaf);
    expect(text).toMatch(/Key Usage: critical\n\s+Digital Signature, Key Encipherment, Key Agreement\n/);
    expect(text).toMatch(/Extended Key Usage: \n\s+TLS Web Server Authentication, TLS Web Client Authentication\n/);
    expect(text).toMatch(/Basic Constraints: critical\n\s+CA:FALSE\n/);
    expect(openssl(['x509', '-inform', 'DER', '-noout', '-text'], ca.der)).toMatch(/Certificate Sign, CRL Sign\n/);
  });

  it.each(['P-521', 'rsa-3072'] as const)('may come from an upstream CA with a %s key', async (kind) => {
    const signer = certificateSignerFromPrivateKey(newTestKey(kind).privateKey);
    const fields = { serialNumber: 3n, now, ttlMs: HOUR, publicKey: signer.publicKey, subject: SVID_SUBJECT, uris: [] };
    const template = upstreamSignedCaTemplate({ ...fields, issuer: { notAfter: now + HOUR } });
    const der = await signCertificate(template, selfSigned(template, signer));
    const certificate = parseCertificate(der);
    expect(isSignedBy(certificate, certificate)).toBe(true);
    expect(new X509Certificate(der).verify(new X509Certificate(der).publicKey)).toBe(true);
  });
});

describe('subjectKeyId', () => {
  it('is the one that openssl computes, and names the authority in hex', () => {
    const { privateKey, spki } = newTestKey();
    const file = path.join(scratch, 'key.pem');
    writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const text = openssl(['req', '-x509', '-new', '-key', file, '-subj', '/CN=x', '-noout', '-text']);
    const [, shown = ''] = /Subject Key Identifier: \n\s+([0-9A-F:]+)/.exec(text) ?? [];
    expect(subjectKeyId(spki).toString('hex')).toBe(shown.replaceAll(':', '').toLowerCase());
    expect(authorityId(spki)).toBe(subjectKeyId(spki).toString('hex'));
  });

  it('needs a public key', () => {
    expect(() => subjectKeyId(Buffer.from('nonsense'))).toThrow(expect.objectContaining({ code: 'invalid-key' }));
  });
});

import { describe, expect, it } from 'vitest';
import {
  issue,
  issueCa,
  issueSvid,
  newTestKey,
  TEST_HOUR,
  TEST_NOW,
  testName,
  type TestCertificate,
  type TestSpec,
} from '../../test/support/pki.ts';
import { parseSpiffeId } from '../id.ts';
import { parseTrustDomain } from '../trust-domain.ts';
import { parseCertificate } from './certificate.ts';
import { validateX509Ca, validateX509Svid, type WantedX509Svid } from './validate.ts';

const td = parseTrustDomain('td');
const id = parseSpiffeId('spiffe://td/a');
const root = issueCa(undefined, { names: [[6, 'spiffe://td']] });
const key = newTestKey();
const refused = (code: string, message: RegExp): object =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('validateX509Svid', () => {
  const wanted: WantedX509Svid = {
    id,
    publicKey: key.spki,
    dnsNames: [],
    issuer: parseCertificate(root.der),
    now: TEST_NOW,
  };
  const validate = ({ der }: TestCertificate, changes: Partial<WantedX509Svid> = {}): void =>
    validateX509Svid(parseCertificate(der), { ...wanted, ...changes });
  const svid = (spec: TestSpec = {}): TestCertificate => issueSvid(root, id, { key, ...spec });

  it('accepts what was asked for', () => {
    validate(svid());
    const names: TestSpec['names'] = [
      [2, 'web'],
      [6, id],
    ];
    validate(svid({ names }), { dnsNames: ['web'] });
  });

  it.each<[string, TestSpec, Partial<WantedX509Svid>, RegExp]>([
    ['another ID', { names: [[6, 'spiffe://td/b']] }, {}, /URI SAN is not/],
    ['no ID', { names: undefined }, {}, /no URI SAN/],
    [
      'two IDs',
      {
        names: [
          [6, id],
          [6, id],
        ],
      },
      {},
      /more than one/,
    ],
    ['the ID of a trust domain', {}, { id: parseSpiffeId('spiffe://td') }, /no path/],
    ['another key', { key: newTestKey() }, {}, /public key is not/],
    ['no basic constraints', { basicConstraints: null }, {}, /basic constraints are missing/],
    ['a CA', { ca: true, usage: ['digitalSignature'] }, {}, /cA constraint must not/],
    ['no key usage', { usage: undefined }, {}, /missing or not critical/],
    ['key usage that may be ignored', { usageCritical: false }, {}, /missing or not critical/],
    ['no digitalSignature', { usage: ['keyAgreement'] }, {}, /digitalSignature key usage must be set/],
    ['keyCertSign', { usage: ['digitalSignature', 'keyCertSign'] }, {}, /keyCertSign key usage must not/],
    ['cRLSign', { usage: ['digitalSignature', 'cRLSign'] }, {}, /cRLSign key usage must not/],
    ['no purposes', { purposes: undefined }, {}, /serverAuth and clientAuth/],
    ['half of the purposes', { purposes: ['1.3.6.1.5.5.7.3.2'] }, {}, /serverAuth and clientAuth/],
    [
      'a DNS name too many',
      {
        names: [
          [6, id],
          [2, 'x'],
        ],
      },
      {},
      /DNS names/,
    ],
    ['a DNS name too few', {}, { dnsNames: ['x'] }, /DNS names/],
    [
      'an email address',
      {
        names: [
          [6, id],
          [1, 'a@b'],
        ],
      },
      {},
      /nobody asked for/,
    ],
    [
      'a directory name',
      {
        names: [
          [6, id],
          [0x24, testName('x')],
        ],
      },
      {},
      /nobody asked for/,
    ],
    [
      'a registered identifier',
      {
        names: [
          [6, id],
          [8, Buffer.of(0x2a, 3)],
        ],
      },
      {},
      /nobody asked for/,
    ],
    ['another issuer', { issuerName: newName() }, {}, /issuer is not/],
    ['a life beyond its CA', { notAfter: TEST_NOW + 2 * TEST_HOUR }, {}, /outlives/],
    ['the future', { notBefore: TEST_NOW + 1000 }, {}, /not valid yet/],
    ['the past', { notAfter: TEST_NOW - 1000 }, {}, /has expired/],
  ])('refuses %s', (_name, spec, changes, message) => {
    expect(() => validate(svid(spec), changes)).toThrow(refused('invalid-x509-svid', message));
  });

  it('refuses a weak key', () => {
    const weak = newTestKey('rsa-1024');
    expect(() => validate(svid({ key: weak }), { publicKey: weak.spki })).toThrow(
      refused('invalid-x509-svid', /1024 bits/),
    );
  });
});

function newName(): Buffer {
  return issueCa(undefined, { subject: 'somebody else' }).subject;
}

describe('validateX509Ca', () => {
  const ca = (spec: TestSpec = {}): TestCertificate => issueCa(root, { key, names: [[6, 'spiffe://td']], ...spec });
  const validate = ({ der }: TestCertificate): void =>
    validateX509Ca(parseCertificate(der), { trustDomain: td, publicKey: key.spki, now: TEST_NOW });

  it('accepts a CA of the trust domain, with or without an ID', () => {
    validate(ca());
    validate(ca({ names: undefined }));
    validate(ca({ usage: ['keyCertSign', 'digitalSignature'] }));
  });

  it.each<[string, TestSpec, RegExp]>([
    ['another key', { key: newTestKey() }, /public key is not/],
    ['no CA', { ca: false, usage: ['keyCertSign'] }, /cA constraint is not set/],
    ['no keyCertSign', { usage: ['cRLSign'] }, /keyCertSign key usage must be set/],
    ['other key usage', { usage: ['keyCertSign', 'keyAgreement'] }, /keyAgreement key usage must not/],
    ['the ID of another trust domain', { names: [[6, 'spiffe://other']] }, /URI SAN is not the ID/],
    ['an ID with a path', { names: [[6, 'spiffe://td/ca']] }, /URI SAN is not the ID/],
    ['the past', { notAfter: TEST_NOW - 1000 }, /^invalid X509 CA: it has expired/],
  ])('refuses %s', (_name, spec, message) => {
    expect(() => validate(ca(spec))).toThrow(refused('invalid-certificate', message));
  });

  it('refuses a workload', () => {
    expect(() => validate(issue(root, { key, names: [[6, id]] }))).toThrow(
      refused('invalid-certificate', /cA constraint/),
    );
  });
});

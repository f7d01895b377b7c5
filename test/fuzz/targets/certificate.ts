import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import * as peculiar from '@peculiar/x509';
import { x509AuthoritiesFromDer } from '../../../spiffe/bundle/der.ts';
import {
  type Certificate,
  isSignedBy,
  parseCertificate,
  parseCertificates,
  spiffeIdOf,
} from '../../../spiffe/x509/certificate.ts';
import { encode, objectIdentifier, octetString, sequence } from '../../../spiffe/x509/der-writer.ts';
import { encodeName, formatName, type Subject, subjectOf } from '../../../spiffe/x509/name.ts';
import { importPublicKey, parsePublicKey } from '../../../spiffe/x509/public-key.ts';
import { issueSvid, issueCa } from '../../support/pki.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { mutateDer } from '../mutate/der.ts';
import { must, mustBeSame, opinion, outcomeOf, ruleOf, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';

const extension = (dotted: string, value: Buffer): Buffer => sequence(objectIdentifier(dotted), octetString(value));
const leafWith = (...extensions: Buffer[]): Buffer => issueSvid(issueCa(), 'spiffe://td/a', { extensions }).der;
const many = (size: number, make: (index: number) => Buffer): Buffer[] =>
  Array.from({ length: size }, (_, i) => make(i));

/** Certificates against OpenSSL and @peculiar/x509. */
export const certificateTarget: Target = {
  name: 'certificate',
  maxLength: 8192,
  mutate: mixed([7, mutateDer], [1, mutateBytes]),
  growth: [
    {
      what: 'extensions',
      from: 16_000,
      of: (size) => leafWith(...many(size, (index) => extension(`1.2.3.${index}`, Buffer.of(5, 0)))),
    },
    {
      what: 'attributes of the name',
      from: 8000,
      of: (size) => {
        const attribute = (index: number): Buffer =>
          encode(0x31, sequence(objectIdentifier(`1.2.3.${index}`), encode(0x0c, Buffer.from('a'))));
        return issueSvid(issueCa(), 'spiffe://td/a', { subject: sequence(...many(size, attribute)) }).der;
      },
    },
    {
      what: 'alternative names',
      from: 16_000,
      of: (size) => issueSvid(issueCa(), '', { names: many(size, () => Buffer.of()).map((_, i) => [2, `d${i}`]) }).der,
    },
  ],
  execute(input, isThorough) {
    const outcome = outcomeOf(() => parseCertificate(input), spiffeErrors('invalid-certificate'));
    if ('refused' in outcome) return ruleOf(outcome.refused);
    const certificate = outcome.value;
    checkNames(certificate);
    const isSupported = compareWithOpenssl(certificate);
    if (isThorough) compareWithPeculiar(certificate);
    const id = outcomeOf(() => spiffeIdOf(certificate), spiffeErrors('invalid-x509-svid'));
    return `accepted v${certificate.version} ${isSupported} ${'value' in id} ${certificate.unknownCritical.length > 0}`;
  },
};

/** Several certificates one after the other. */
export const certificatesTarget: Target = {
  name: 'certificates',
  maxLength: 16_384,
  mutate: mixed([7, mutateDer], [1, mutateBytes], [1, (input, _random, other) => Buffer.concat([input, other()])]),
  growth: [
    { what: 'certificates', from: 100, of: (size) => Buffer.concat(many(size, () => oneLeaf)) },
    { what: 'empty elements', from: 10_000, of: (size) => Buffer.alloc(size * 2, Buffer.of(0x30, 0)) },
  ],
  execute(input) {
    const outcome = outcomeOf(() => parseCertificates(input), spiffeErrors('invalid-certificate'));
    const bundle = outcomeOf(
      () => x509AuthoritiesFromDer(input),
      spiffeErrors('invalid-certificate', 'invalid-bundle'),
    );
    mustBeSame('value' in bundle, 'value' in outcome, 'what reads as a chain reads as a bundle');
    if ('refused' in outcome) return ruleOf(outcome.refused);
    const ders = outcome.value.map(({ der }) => der);
    must(Buffer.concat(ders).equals(input), 'the certificates are all of the input');
    for (const der of ders) must(parseCertificate(Buffer.from(der)).der.equals(der), 'each reads by itself');
    return `accepted ${Math.min(ders.length, 8)}`;
  },
};

const oneLeaf = issueSvid(issueCa(), 'spiffe://td/a').der;

/** A certificate that was read can be shown, and its name written again. */
function checkNames({ subject, issuer }: Certificate): void {
  for (const name of [subject, issuer]) {
    must(typeof formatName(name) === 'string', 'a name has a text');
    const fields = subjectOf(name);
    mustBeSame(inOrder(subjectOf(encodeName(fields))), inOrder(fields), 'a name written again');
  }
}

/** The fields that say something, in an order of their own: a set has none. */
function inOrder(fields: Subject): string {
  const sorted = (value: unknown): string =>
    Array.isArray(value) ? value.map(sorted).sort().join() : JSON.stringify(value);
  const entries = Object.entries(fields).filter(([, value]) => value !== '');
  return entries
    .map(([name, value]) => `${name} ${sorted(value)}`)
    .sort()
    .join();
}

/** @returns whether its key is one that is supported here */
function compareWithOpenssl(ours: Certificate): boolean {
  const theirs = opinion(() => new X509Certificate(ours.der))?.value;
  const key = outcomeOf(() => importPublicKey(parsePublicKey(ours.publicKey)), spiffeErrors('invalid-key'));
  if (theirs === undefined) {
    // OpenSSL looks into parameters of algorithms; here one that is not known is not looked into, nor relied on.
    must(
      'refused' in key || ours.signatureAlgorithm === undefined,
      'OpenSSL reads a certificate that may be relied on',
    );
    return false;
  }
  must(theirs.raw.equals(ours.der), 'OpenSSL reads all of it');
  mustBeSame(BigInt(`0x${theirs.serialNumber}`), ours.serialNumber, 'serial number by OpenSSL');
  mustBeSame(Date.parse(theirs.validFrom), ours.notBefore, 'notBefore by OpenSSL');
  mustBeSame(Date.parse(theirs.validTo), ours.notAfter, 'notAfter by OpenSSL');
  // Not the other way round: OpenSSL says so of everything with some extension, known to it, that it cannot read.
  if (ours.isCa !== true) mustBeSame(theirs.ca, false, 'CA by OpenSSL');
  if ('refused' in key) return false;
  const theirKey = opinion(() => theirs.publicKey)?.value;
  must(theirKey?.equals(key.value) === true, 'the same public key by OpenSSL');
  if (isSignedBy(ours, ours)) must(theirs.verify(theirKey), 'a signature that OpenSSL finds right');
  return true;
}

function compareWithPeculiar(ours: Certificate): void {
  const theirs = opinion(() => new peculiar.X509Certificate(ours.der))?.value;
  if (theirs === undefined) return;
  mustBeSame(BigInt(`0x${theirs.serialNumber}`), ours.serialNumber, 'serial number by @peculiar/x509');
  mustBeSame(theirs.notBefore.getTime(), ours.notBefore, 'notBefore by @peculiar/x509');
  mustBeSame(theirs.notAfter.getTime(), ours.notAfter, 'notAfter by @peculiar/x509');
  const names = opinion(() => theirs.getExtension(peculiar.SubjectAlternativeNameExtension))?.value?.names.toJSON();
  if (names === undefined || names === null) return;
  const uris = names.filter(({ type }) => type === 'url').map(({ value }) => value);
  mustBeSame(JSON.stringify(uris), JSON.stringify(ours.uris), 'URIs by @peculiar/x509');
  const constraints = opinion(() => theirs.getExtension(peculiar.BasicConstraintsExtension))?.value;
  if (constraints) mustBeSame(constraints.ca, ours.isCa, 'CA by @peculiar/x509');
}

import { readBundles, readX509Authorities } from '../../../client/authorities.ts';
import type { Bundle, X509Authority } from '../../../spiffe/bundle/bundle.ts';
import { equalBundles, mergeBundles, pruneBundle } from '../../../spiffe/bundle/change.ts';
import { bundleToDer, x509AuthoritiesFromDer } from '../../../spiffe/bundle/der.ts';
import {
  bundleToSpiffeJson,
  jwtAuthoritiesFromJwks,
  type ReadBundle,
  readSpiffeBundle,
  type SpiffeJsonOptions,
  witAuthoritiesFromJwks,
} from '../../../spiffe/bundle/json.ts';
import { bundleToPem, type PemOptions, x509AuthoritiesFromPem } from '../../../spiffe/bundle/pem.ts';
import { pollInterval } from '../../../spiffe/bundle/refresh.ts';
import { verifyX509Svid } from '../../../spiffe/x509/verify.ts';
import { issueCa, issueSvid, TEST_NOW } from '../../support/pki.ts';
import { certificateNamed, type DocumentInput, documentOf, nameOfCertificate, trustDomainOf } from './bundle-input.ts';

/** A document to read, or what else to do. */
type Input =
  | DocumentInput
  | { written: DocumentInput; options?: SpiffeJsonOptions }
  | { readBack: DocumentInput; options?: SpiffeJsonOptions }
  | { equal: readonly [DocumentInput, DocumentInput] }
  | { changed: DocumentInput }
  | { poll: DocumentInput }
  | { judgedUnder: DocumentInput }
  | { jwks: DocumentInput }
  | { witJwks: DocumentInput }
  | { pem: readonly string[] }
  | { pemText: readonly (string | { readonly pem: string })[]; options?: PemOptions }
  | { der: readonly string[] }
  | { derHex: string }
  | { federated: readonly string[] }
  | { federatedBytes: 'x509' };

export function run(input: Input): unknown {
  if ('written' in input) return JSON.parse(bundleToSpiffeJson(read(input.written).bundle, input.options));
  if ('readBack' in input) return readsBack(read(input.readBack).bundle, input.options);
  if ('equal' in input) return equalBundles(read(input.equal[0]).bundle, read(input.equal[1]).bundle);
  if ('changed' in input) return afterChanges(input.changed);
  if ('poll' in input) return pollInterval(read(input.poll));
  if ('judgedUnder' in input) return judgedUnder(read(input.judgedUnder).bundle);
  if ('jwks' in input) return jwtAuthoritiesFromJwks(documentOf(input.jwks)).map(({ keyId }) => keyId);
  if ('witJwks' in input) return witAuthoritiesFromJwks(documentOf(input.witJwks)).map(({ keyId }) => keyId);
  if ('federated' in input)
    return Array.from(readBundles(Object.fromEntries(input.federated.map((key) => [key, Buffer.of()])), String).keys());
  if ('federatedBytes' in input) return readX509Authorities(Buffer.of());
  if ('keys' in input || 'text' in input || 'hex' in input) return contentOf(read(input));
  return certificatesOf(input);
}

function read(input: DocumentInput): ReadBundle {
  return readSpiffeBundle(documentOf(input), trustDomainOf(input));
}

function contentOf({ bundle, skipped, hasSequenceNumber, hasRefreshHint }: ReadBundle): object {
  return {
    x509: bundle.x509Authorities.length,
    jwt: bundle.jwtAuthorities.map(({ keyId }) => keyId),
    wit: bundle.witAuthorities.map(({ keyId }) => keyId),
    skipped: skipped.map(({ index }) => index),
    sequence: hasSequenceNumber ? String(bundle.sequenceNumber) : null,
    hint: hasRefreshHint ? bundle.refreshHint : null,
  };
}

function readsBack(bundle: Bundle, options?: SpiffeJsonOptions): boolean {
  return equalBundles(readSpiffeBundle(bundleToSpiffeJson(bundle, options), bundle.trustDomain).bundle, bundle);
}

/** Makes other bundles out of one, and tries to write into it. */
function afterChanges(input: DocumentInput): object {
  const { bundle } = read(input);
  const [first, ...others] = bundle.x509Authorities;
  mergeBundles({ ...bundle, x509Authorities: others }, { ...bundle, x509Authorities: first ? [first] : [] });
  pruneBundle(bundle, 0);
  const writes: readonly (() => unknown)[] = [
    () => (bundle.x509Authorities as X509Authority[]).pop(),
    () => (bundle.jwtAuthorities as unknown[]).pop(),
    () => Object.assign(bundle, { sequenceNumber: 99n }),
    () => Object.assign(bundle.x509Authorities[0] ?? {}, { tainted: true }),
  ];
  return { isFrozen: writes.every(throwsTypeError), isUnchanged: equalBundles(bundle, read(input).bundle) };
}

function throwsTypeError(write: () => unknown): boolean {
  try {
    write();
    return false;
  } catch (error) {
    return error instanceof TypeError;
  }
}

/** An SVID that its own CA vouches for, first under that CA and then, in its place, under `bundle`. */
function judgedUnder({ x509Authorities }: Bundle): void {
  const ca = issueCa();
  const svid = [issueSvid(ca, 'spiffe://example.org/x').der, ca.der];
  verifyX509Svid(svid, () => [ca.der], TEST_NOW);
  verifyX509Svid(svid, () => x509Authorities.map(({ certificate }) => certificate), TEST_NOW);
}

type CertificatesInput = Extract<
  Input,
  { pem: unknown } | { pemText: unknown } | { der: unknown } | { derHex: unknown }
>;

function certificatesOf(input: CertificatesInput): object {
  const names = readCertificates(input).map(({ certificate }) => nameOfCertificate(certificate));
  return { certificates: names };
}

function readCertificates(input: CertificatesInput): readonly X509Authority[] {
  if ('pem' in input) return x509AuthoritiesFromPem(bundleToPem({ x509Authorities: input.pem.map(authorityNamed) }));
  if ('der' in input) return x509AuthoritiesFromDer(bundleToDer({ x509Authorities: input.der.map(authorityNamed) }));
  if ('derHex' in input) return x509AuthoritiesFromDer(Buffer.from(input.derHex, 'hex'));
  const parts = input.pemText.map((part) =>
    typeof part === 'string' ? part : bundleToPem({ x509Authorities: [authorityNamed(part.pem)] }),
  );
  return x509AuthoritiesFromPem(parts.join(''), input.options);
}

function authorityNamed(name: string): X509Authority {
  return { certificate: certificateNamed(name), tainted: false };
}

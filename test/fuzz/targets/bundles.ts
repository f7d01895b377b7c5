import { X509Certificate } from 'node:crypto';
import type { Bundle, JwtAuthority } from '../../../spiffe/bundle/bundle.ts';
import { bundleMapToJson, readBundleMap } from '../../../spiffe/bundle/bundle-map.ts';
import { equalBundleSets } from '../../../spiffe/bundle/bundle-set.ts';
import { equalBundles } from '../../../spiffe/bundle/change.ts';
import {
  bundleToSpiffeJson,
  jwksOf,
  jwtAuthoritiesFromJwks,
  readSpiffeBundle,
  witAuthoritiesFromJwks,
} from '../../../spiffe/bundle/json.ts';
import { keyFromSpki } from '../../../spiffe/bundle/jwk.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { jsonMutator } from '../mutate/json.ts';
import { must, mustBeSame, opinion, outcomeOf, ruleOf, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';

const NAMES = [
  ...[
    'keys',
    'spiffe_sequence',
    'spiffe_refresh_hint',
    'use',
    'kty',
    'kid',
    'crv',
    'x',
    'y',
    'n',
    'e',
    'x5c',
    'd',
    'p',
  ],
  ...['k', 'alg', 'key_ops', 'x5u', 'trust_domains', 'td', 'example.org', 'EXAMPLE.org', 'spiffe://td'],
];
const TEXTS = ['x509-svid', 'jwt-svid', 'wit-svid', 'sig', 'EC', 'RSA', 'OKP', 'oct', 'AKP', 'P-256', 'P-384', 'P-521'];
const KEYS = [
  'secp256k1',
  'Ed25519',
  'X25519',
  'AQAB',
  'AQ',
  'Aw',
  'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  'AQAB=',
];

const mutate = mixed([8, jsonMutator(NAMES, [...TEXTS, ...KEYS])], [1, mutateBytes]);
const isBundleError = spiffeErrors('invalid-bundle');
const trustDomain = parseTrustDomain('example.org');

const manyKeys = (size: number): string =>
  `"keys":[${Array.from({ length: size }, (_, kid) => `{"kty":"EC","use":"jwt-svid","kid":"${kid}"}`).join()}]`;
const growth = [
  { what: 'unusable keys', from: 1000, of: (size: number) => Buffer.from(`{${manyKeys(size)}}`) },
  {
    what: 'other members',
    from: 10_000,
    of: (size: number) => Buffer.from(`{"keys":[],"a":[${'{},'.repeat(size)}{}]}`),
  },
];

/** SPIFFE bundles: what is read is true by other readers, and reads the same when written again. */
export const bundleTarget: Target = {
  name: 'bundle',
  maxLength: 16_384,
  mutate,
  growth,
  execute(input, isThorough) {
    const outcome = outcomeOf(() => readSpiffeBundle(input, trustDomain), isBundleError);
    if ('refused' in outcome) return ruleOf(outcome.refused);
    const { bundle, skipped } = outcome.value;
    checkBundle(bundle, isThorough);
    const again = readSpiffeBundle(bundleToSpiffeJson(bundle, { wit: true }), trustDomain);
    must(equalBundles(again.bundle, bundle), 'a bundle that was written reads as the same');
    mustBeSame(again.skipped.length, 0, 'no key that was written is skipped');
    return `accepted ${skipped.map(({ reason }) => reason).join()}`.slice(0, 100);
  },
};

/** Bundle maps, likewise. */
export const bundleMapTarget: Target = {
  name: 'bundle-map',
  maxLength: 16_384,
  mutate,
  growth: [
    {
      what: 'many trust domains',
      from: 200,
      of: (size) =>
        Buffer.from(`{"trust_domains":{${Array.from({ length: size }, (_, td) => `"td${td}":{"keys":[]}`).join()}}}`),
    },
  ],
  execute(input, isThorough) {
    const outcome = outcomeOf(() => readBundleMap(input), isBundleError);
    if ('refused' in outcome) return ruleOf(outcome.refused);
    const { bundles, skipped } = outcome.value;
    for (const [name, bundle] of bundles) {
      mustBeSame(bundle.trustDomain, name, 'a bundle is of its trust domain');
      checkBundle(bundle, isThorough);
    }
    const again = readBundleMap(bundleMapToJson(bundles.values(), { wit: true }));
    must(equalBundleSets(again.bundles, bundles), 'a map that was written reads as the same');
    return `accepted ${Math.min(bundles.size, 4)} ${skipped.length > 0}`;
  },
};

/** JWK Sets of the Workload API. */
export const jwksTarget: Target = {
  name: 'jwks',
  maxLength: 16_384,
  mutate,
  growth,
  execute(input) {
    const outcome = outcomeOf(() => jwtAuthoritiesFromJwks(input), isBundleError);
    const wit = outcomeOf(() => witAuthoritiesFromJwks(input), isBundleError);
    if ('value' in wit) wit.value.forEach(checkKey);
    if ('refused' in outcome) return ruleOf(outcome.refused);
    const authorities = outcome.value;
    authorities.forEach(checkKey);
    const again = jwtAuthoritiesFromJwks(jwksOf({ jwtAuthorities: authorities }));
    mustBeSame(idsOf(again), idsOf(authorities), 'a set that was written reads as the same');
    return `accepted ${Math.min(authorities.length, 4)} ${'value' in wit ? Math.min(wit.value.length, 4) : 'refused'}`;
  },
};

function idsOf(authorities: readonly JwtAuthority[]): string {
  return authorities
    .map(({ keyId, publicKey }) => JSON.stringify([keyId, publicKey.toString('base64')]))
    .sort()
    .join();
}

function checkBundle(bundle: Bundle, isThorough: boolean): void {
  const { x509Authorities, jwtAuthorities, witAuthorities } = bundle;
  for (const { certificate } of x509Authorities) {
    const theirs = opinion(() => new X509Certificate(certificate));
    must(theirs?.value.ca === true, 'an X.509 authority is a CA by OpenSSL');
  }
  const signers = [...jwtAuthorities, ...witAuthorities];
  mustBeSame(new Set(signers.map(({ keyId }) => keyId)).size, signers.length, 'a key ID names one key');
  if (isThorough || signers.length < 4) signers.forEach(checkKey);
}

/** An authority is a public key that OpenSSL reads, none that anybody can sign for. */
function checkKey({ publicKey, keyId }: JwtAuthority): void {
  must(keyId !== '' && keyId.length <= 1024, 'a key ID');
  const { asymmetricKeyType: kind, asymmetricKeyDetails: details } = keyFromSpki(publicKey);
  must(kind === 'ec' || kind === 'rsa', 'an EC or RSA key');
  if (kind === 'ec') return;
  const { modulusLength = 0, publicExponent = 0n } = details ?? {};
  must(modulusLength >= 2048 && publicExponent >= 3n && publicExponent % 2n === 1n, 'a sound RSA key');
}

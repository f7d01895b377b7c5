import { readJwtBundles, readJwtSvids, readValidation } from '../../../client/jwt-svids.ts';
import { readWitBundles, readWitSvids } from '../../../client/wit-svids.ts';
import { readX509BundleSet, readX509Context } from '../../../client/x509-context.ts';
import { FinialError } from '../../../common/errors.ts';
import { loadMessage, type MessageRef } from '../../../common/rpc/message.ts';
import type { JWTBundlesResponse__Output } from '../../../proto/gen/workload/JWTBundlesResponse.ts';
import type { JWTSVIDResponse__Output } from '../../../proto/gen/workload/JWTSVIDResponse.ts';
import type { ValidateJWTSVIDResponse__Output } from '../../../proto/gen/workload/ValidateJWTSVIDResponse.ts';
import type { WITBundlesResponse__Output } from '../../../proto/gen/workload/WITBundlesResponse.ts';
import type { WITSVIDResponse__Output } from '../../../proto/gen/workload/WITSVIDResponse.ts';
import type { X509BundlesResponse__Output } from '../../../proto/gen/workload/X509BundlesResponse.ts';
import type { X509SVIDResponse__Output } from '../../../proto/gen/workload/X509SVIDResponse.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { parseSpiffeId } from '../../../spiffe/id.ts';
import { isTrustDomain } from '../../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../../spiffe/x509/certificate.ts';
import { jsonMutator } from '../mutate/json.ts';
import { protobufMutator, varint } from '../mutate/protobuf.ts';
import { hidesNoMistake } from './refusal.ts';
import { must, mustBeSame, opinion, outcomeOf, ruleOf, type Mutator, type Target } from '../target.ts';

/** A message, and what the client makes of it; throws Broken when that is not what it promises. */
type Reading = (bytes: Buffer) => string;

function reading<Out, T>(
  message: MessageRef<unknown, Out>,
  read: (message: Out) => T,
  check: (value: T) => string,
): Reading {
  const { name } = message;
  return (bytes) => {
    // What does not decode never reaches the client's own code.
    const decoded = opinion(() => message.decode(bytes));
    if (decoded === undefined) return `${name}: no message`;
    const isAllowed = (error: unknown): boolean =>
      (error instanceof FinialError || error instanceof SpiffeError) && hidesNoMistake(error);
    const outcome = outcomeOf(() => read(decoded.value), isAllowed);
    return `${name}: ${'refused' in outcome ? ruleOf(outcome.refused) : `accepted ${check(outcome.value)}`}`;
  };
}

function checkBundles(bundles: ReadonlyMap<string, readonly unknown[]>): void {
  for (const [name, bundle] of bundles) {
    must(isTrustDomain(name), 'a bundle is of a trust domain');
    must(Object.isFrozen(bundle), 'nobody can change a bundle');
  }
}

function checkX509(bundles: ReadonlyMap<string, readonly Buffer[]>): void {
  checkBundles(bundles);
  for (const ders of bundles.values()) for (const der of ders) parseCertificate(der);
}

/** By the first byte of an input. */
const READINGS: readonly Reading[] = [
  reading(
    loadMessage<unknown, X509SVIDResponse__Output>('workload.proto', 'X509SVIDResponse'),
    readX509Context,
    ({ svids, bundles }) => {
      must(svids.length > 0, 'there is an identity');
      for (const { id } of svids) mustBeSame(parseSpiffeId(id), id, 'an ID');
      checkX509(bundles);
      return `${Math.min(svids.length, 4)} ${Math.min(bundles.size, 4)}`;
    },
  ),
  reading(
    loadMessage<unknown, X509BundlesResponse__Output>('workload.proto', 'X509BundlesResponse'),
    readX509BundleSet,
    ({ bundles }) => {
      checkX509(bundles);
      return String(Math.min(bundles.size, 4));
    },
  ),
  reading(
    loadMessage<unknown, JWTSVIDResponse__Output>('workload.proto', 'JWTSVIDResponse'),
    (message) => readJwtSvids(message, { audience: ['a'] }),
    (svids) => {
      for (const { id, audience } of svids) {
        mustBeSame(parseSpiffeId(id), id, 'an ID');
        must(audience.includes('a'), 'the audience that was asked for');
      }
      return String(Math.min(svids.length, 4));
    },
  ),
  reading(
    loadMessage<unknown, JWTBundlesResponse__Output>('workload.proto', 'JWTBundlesResponse'),
    readJwtBundles,
    (bundles) => {
      checkBundles(bundles);
      return String(Math.min(bundles.size, 4));
    },
  ),
  reading(
    loadMessage<unknown, ValidateJWTSVIDResponse__Output>('workload.proto', 'ValidateJWTSVIDResponse'),
    readValidation,
    ({ id, claims }) => {
      mustBeSame(parseSpiffeId(id), id, 'an ID');
      JSON.stringify(claims);
      return 'claims';
    },
  ),
  reading(loadMessage<unknown, WITSVIDResponse__Output>('workload.proto', 'WITSVIDResponse'), readWitSvids, (svids) => {
    for (const { id, key } of svids) {
      mustBeSame(parseSpiffeId(id), id, 'an ID');
      mustBeSame(key.privateKey.type, 'private', 'a key to make proofs with');
    }
    return String(Math.min(svids.length, 4));
  }),
  reading(
    loadMessage<unknown, WITBundlesResponse__Output>('workload.proto', 'WITBundlesResponse'),
    readWitBundles,
    (bundles) => {
      checkBundles(bundles);
      return String(Math.min(bundles.size, 4));
    },
  ),
];

const changeMessage = protobufMutator(
  jsonMutator(['keys', 'kid', 'kty', 'use', 'sub', 'aud'], ['jwt-svid', 'EC', 'a']),
);

const mutate: Mutator = (input, random, other) => {
  const kind = random.oneIn(20) ? random.int(READINGS.length) : (input[0] ?? 0);
  const alike = (): Buffer => other().subarray(1);
  return Buffer.concat([Buffer.of(kind), changeMessage(input.subarray(1), random, alike)]);
};

/** A field with a length, of a message. */
const field = (number: number, content: Buffer): Buffer =>
  Buffer.concat([Buffer.of((number << 3) | 2), varint(content.length), content]);

/** Claims that are objects within objects: Struct.fields[''] of Value.struct_value, from the inside. */
function nestedClaims(depth: number): Buffer {
  let struct: Buffer = Buffer.of();
  for (let left = depth; left > 0; left -= 1) struct = field(1, field(2, field(5, struct)));
  return Buffer.concat([Buffer.of(4), field(1, Buffer.from('spiffe://example.org/x')), field(2, struct)]);
}

const one = (kind: number, number: number, content: Buffer): Buffer =>
  Buffer.concat([Buffer.of(kind), field(number, content)]);

/** Messages of the Workload API as a hostile or broken agent may send them. */
export const workloadApiTarget: Target = {
  name: 'workload-api',
  maxLength: 16_384,
  mutate,
  growth: [
    { what: 'nested claims', from: 20, of: nestedClaims },
    { what: 'deeply nested claims', from: 1500, of: nestedClaims },
    {
      what: 'empty identities',
      from: 1000,
      of: (n) => Buffer.concat([Buffer.of(0), Buffer.alloc(2 * n, Buffer.of(10, 0))]),
    },
    { what: 'a long ID', from: 50_000, of: (n) => one(0, 1, field(1, Buffer.alloc(n, 'spiffe://a/'))) },
    { what: 'a long hint', from: 50_000, of: (n) => one(2, 1, field(3, Buffer.alloc(n, 'a'))) },
  ],
  execute(input) {
    const read = READINGS[(input[0] ?? 0) % READINGS.length];
    return read === undefined ? '' : read(input.subarray(1));
  },
};

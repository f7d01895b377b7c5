import { type Clock, unixSeconds } from '../../common/clock.ts';
import type { Key } from '../../plugins/key-manager/contract.ts';
import type { JwtAuthority } from '../../spiffe/bundle/bundle.ts';
import type { KeyType, Signer } from '../../spiffe/signer.ts';
import type { TokenKeyRecord } from './journal/record.ts';
import { type AuthorityKind, OTHER_KEY } from './rotation.ts';

/** The key that signs JWT-SVIDs now. */
export interface JwtKeyView {
  readonly keyId: string;
  readonly signer: Signer;
  /** Unix seconds; no token outlives it. */
  readonly notAfter: number;
}

/** What a JWT key is made of, and where it is published. */
export interface JwtKeyDeps {
  readonly clock: Clock;
  /** Random bytes. */
  readonly random: (size: number) => Buffer;
  readonly keyType: KeyType;
  /** Milliseconds that a key is valid. */
  readonly ttl: number;
  /** Puts the key into the bundle of the trust domain. */
  publish(key: JwtAuthority): Promise<unknown>;
}

/** How JWT keys differ from other authorities. */
export function jwtKeyKind(deps: JwtKeyDeps): AuthorityKind<TokenKeyRecord, JwtKeyView> {
  return {
    name: 'JWT key',
    keyType: deps.keyType,
    keyId: (slot) => `JWT-Signer-${slot}`,
    recordsOf: (entries) => entries.jwt,
    withRecords: (entries, jwt) => ({ ...entries, jwt }),
    viewOf: (record, key) => viewOf(record, key),
    logFields: () => ({}),
    whyUnusable(record, key, bundle) {
      if (!key.publicKey.equals(record.publicKey)) return OTHER_KEY;
      if (bundle.jwtAuthorities.some((one) => one.keyId === record.keyId)) return undefined;
      return 'authority is not in the bundle';
    },
    async make(key, slot) {
      const record = newRecord(deps, key, slot);
      return { record, view: viewOf(record, key), publish: async () => void (await deps.publish(authorityOf(record))) };
    },
  };
}

const KEY_ID_LENGTH = 32;
const KEY_ID_ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** A `kid` as the reference makes them: 32 letters and digits, each as likely as any other. */
function newKeyId(random: (size: number) => Buffer): string {
  const fair = 256 - (256 % KEY_ID_ALPHABET.length);
  let id = '';
  while (id.length < KEY_ID_LENGTH) {
    for (const byte of random(KEY_ID_LENGTH - id.length)) {
      if (byte < fair) id += KEY_ID_ALPHABET[byte % KEY_ID_ALPHABET.length] ?? '';
    }
  }
  return id;
}

function newRecord({ clock, random, ttl }: JwtKeyDeps, key: Key, slotId: string): TokenKeyRecord {
  const keyId = newKeyId(random);
  return {
    slotId,
    issuedAt: unixSeconds(clock),
    notAfter: Math.floor((clock.now() + ttl) / 1000),
    authorityId: keyId,
    status: 'prepared',
    keyId,
    publicKey: key.publicKey,
  };
}

function viewOf({ keyId, notAfter }: TokenKeyRecord, signer: Signer): JwtKeyView {
  return Object.freeze({ keyId, signer, notAfter });
}

function authorityOf({ keyId, publicKey, notAfter }: TokenKeyRecord): JwtAuthority {
  return { keyId, publicKey, expiresAt: notAfter, tainted: false };
}

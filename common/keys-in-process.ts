import type { KeyObject } from 'node:crypto';
import { FinialError } from './errors.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { KeyType, Signer } from '../spiffe/signer.ts';
import { generateSigner, type PrivateKeySigner } from '../spiffe/x509/key.ts';

/** Private keys that this process holds itself, and so can write out, by key ID. */
export type HeldKeys = ReadonlyMap<string, PrivateKeySigner>;

/** Where the keys come from and where they are kept. */
export interface KeysInProcessOptions {
  /** What was kept before. */
  readonly keys?: HeldKeys;
  /** Makes the set of keys durable; a new key is used only when this has resolved. Absent when nothing is kept. */
  readonly persist?: (keys: HeldKeys) => Promise<void>;
}

/** A key under its name, without the private part. */
export interface NamedSigner extends Signer {
  readonly id: string;
}

/** A set of named keys, as key managers offer it. */
export interface KeysInProcess {
  /** Makes a key, replacing the one of that name; it is durable when this resolves, or the old one stays. */
  generateKey(id: string, keyType: KeyType): Promise<NamedSigner>;
  getKey(id: string): Promise<NamedSigner | undefined>;
  listKeys(): Promise<readonly NamedSigner[]>;
  /** For TLS alone, which cannot sign through an interface. */
  privateKey(id: string): Promise<KeyObject | undefined>;
}

/** Keys that live in this process; where they are kept besides is the caller's business. */
export function keysInProcess(options: KeysInProcessOptions = {}): KeysInProcess {
  let keys = new Map(options.keys);
  // Two generations at a time would each write a set that lacks the other's key.
  const inTurn = oneAtATime();

  const generate = async (id: string, keyType: KeyType): Promise<NamedSigner> => {
    const signer = await generateSigner(keyType);
    const changed = new Map(keys).set(id, signer);
    await options.persist?.(changed);
    keys = changed;
    return named(id, signer);
  };

  return {
    async generateKey(id, keyType) {
      if (id === '') throw new FinialError('invalid-argument', 'key id is required');
      return inTurn(() => generate(id, keyType));
    },
    async getKey(id) {
      const signer = keys.get(id);
      return signer === undefined ? undefined : named(id, signer);
    },
    async listKeys() {
      return [...keys].map(([id, signer]) => named(id, signer));
    },
    async privateKey(id) {
      return keys.get(id)?.privateKey;
    },
  };
}

/** Only what the contract shows: whoever signs cannot read the private key. */
function named(id: string, signer: Signer): NamedSigner {
  return Object.freeze({
    id,
    keyType: signer.keyType,
    publicKey: signer.publicKey,
    sign: (algorithm, data) => signer.sign(algorithm, data),
  } satisfies NamedSigner);
}

import type { KeyObject } from 'node:crypto';
import type { Closable } from '../../common/lifecycle.ts';
import type { KeyType, Signer } from '../../spiffe/signer.ts';

/** A key that a KeyManager holds under a name. */
export interface Key extends Signer {
  readonly id: string;
}

/** Keeps the private keys of a server or an agent. */
export interface KeyManager extends Partial<Closable> {
  /**
   * Makes a new key under `id`, replacing the one that was there. When it resolves, the key survives a crash (unless
   * the manager keeps keys in memory only).
   */
  generateKey(id: string, keyType: KeyType): Promise<Key>;
  getKey(id: string): Promise<Key | undefined>;
  listKeys(): Promise<readonly Key[]>;
  /**
   * The private key itself, for TLS alone: Node cannot make a handshake through a `Signer`. Absent in managers whose keys
   * live elsewhere; an agent cannot use those.
   */
  privateKey?(id: string): Promise<KeyObject | undefined>;
  /** Where the keys are kept, for messages; absent when they are in memory only. */
  readonly place?: string;
  /**
   * Copies the keys that were there when the manager was opened, because they are not those that were expected and new
   * ones are about to take their names. Called before any key is made; absent in managers that write no key over.
   *
   * @returns where the copy is; undefined when there are copies enough
   */
  keepCopy?(): Promise<string | undefined>;
}

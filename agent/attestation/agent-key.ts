import type { KeyObject } from 'node:crypto';
import { FinialError } from '../../common/errors.ts';
import type { Key, KeyManager } from '../../plugins/key-manager/contract.ts';

/** The names under which the agent's keys are kept; the next key always takes the slot that is not in use. */
const SLOTS = ['agent-svid-A', 'agent-svid-B'] as const;

/** The key that belongs to a certificate. Goes by the public key: the slot it lies in says nothing after a crash. */
export async function keyOf(keyManager: KeyManager, publicKey: Buffer): Promise<Key | undefined> {
  return (await keyManager.listKeys()).find((key) => key.publicKey.equals(publicKey));
}

/** A new key beside `current`, which stays usable until the new one's SVID is in force. */
export function newAgentKey(keyManager: KeyManager, current: Key | undefined): Promise<Key> {
  return keyManager.generateKey(current?.id === SLOTS[0] ? SLOTS[1] : SLOTS[0], 'ec-p256');
}

/** @throws FinialError `failed-precondition` when the manager does not give the key to TLS */
export async function privateKeyOf(keyManager: KeyManager, key: Key): Promise<KeyObject> {
  const privateKey = await keyManager.privateKey?.(key.id);
  if (privateKey === undefined) {
    throw new FinialError('failed-precondition', 'the configured KeyManager holds keys that TLS cannot use');
  }
  return privateKey;
}

import { constants, createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { KEY_TYPES, type KeyType, type SignatureAlgorithm } from '../../spiffe/signer.ts';
import type { Key, KeyManager } from './contract.ts';

/** The key manager under test, and what it promises. */
export interface KeyManagerAdapter {
  readonly name: string;
  /** A fresh manager without keys. */
  open(): Promise<KeyManager>;
  /** The same keys as a new process sees them; absent, with the reason, when the manager keeps none. */
  readonly reopen: ((manager: KeyManager) => Promise<KeyManager>) | { readonly absent: string };
}

/** What every KeyManager must do. Each adapter's test file calls it. */
export function describeKeyManager(adapter: KeyManagerAdapter): void {
  describe(`KeyManager ${adapter.name}`, () => {
    const { reopen } = adapter;

    it('begins without keys', async () => {
      const manager = await adapter.open();
      expect(await manager.listKeys()).toEqual([]);
      expect(await manager.getKey('x509-CA-A')).toBeUndefined();
    });

    for (const keyType of KEY_TYPES) {
      it(`makes a key of type ${keyType} that signs what its public key verifies`, async () => {
        const manager = await adapter.open();
        const key = await manager.generateKey('some-key', keyType);
        expect(key).toMatchObject({ id: 'some-key', keyType });
        for (const algorithm of algorithmsOf(keyType)) await expectSignature(key, algorithm);
        const found = await manager.getKey('some-key');
        expect(found?.keyType).toBe(keyType);
        expect(found?.publicKey.equals(key.publicKey)).toBe(true);
      });
    }

    it('refuses a key without a name', async () => {
      const manager = await adapter.open();
      await expect(manager.generateKey('', 'ec-p256')).rejects.toMatchObject({ code: 'invalid-argument' });
    });

    it('replaces the key of the same name and keeps the others', async () => {
      const manager = await adapter.open();
      const [first, other] = [await manager.generateKey('A', 'ec-p256'), await manager.generateKey('B', 'ec-p384')];
      const second = await manager.generateKey('A', 'ec-p256');
      expect(second.publicKey.equals(first.publicKey)).toBe(false);
      expect(await publicKeys(manager)).toEqual(publicKeysOf([second, other]));
      // Whoever held the replaced key may finish what it was signing.
      await expectSignature(first, 'ecdsa-sha256');
    });

    it('loses none of the keys that are made at the same time', async () => {
      const manager = await adapter.open();
      const made = await Promise.all(['A', 'B', 'C', 'D'].map((id) => manager.generateKey(id, 'ec-p256')));
      expect(await publicKeys(manager)).toEqual(publicKeysOf(made));
      if (typeof reopen !== 'function') return;
      expect(await publicKeys(await reopen(manager))).toEqual(publicKeysOf(made));
    });

    it('shows no private key to whoever signs', async () => {
      const manager = await adapter.open();
      const key = await manager.generateKey('A', 'ec-p256');
      expect(Object.keys(key).sort()).toEqual(['id', 'keyType', 'publicKey', 'sign']);
    });

    it('keeps its keys for the next process, or says why not', async () => {
      const manager = await adapter.open();
      const made = [await manager.generateKey('A', 'ec-p256'), await manager.generateKey('B', 'rsa-2048')];
      if (typeof reopen !== 'function') {
        expect(reopen.absent).not.toBe('');
        return;
      }
      const next = await reopen(manager);
      expect(await publicKeys(next)).toEqual(publicKeysOf(made));
      const key = await next.getKey('A');
      expect(key).toBeDefined();
      if (key !== undefined) await expectSignature(key, 'ecdsa-sha256');
    });
  });
}

function algorithmsOf(keyType: KeyType): readonly SignatureAlgorithm[] {
  return keyType.startsWith('ec-')
    ? ['ecdsa-sha256', 'ecdsa-sha384', 'ecdsa-sha512']
    : ['rsa-pkcs1-sha256', 'rsa-pkcs1-sha384', 'rsa-pss-sha256', 'rsa-pss-sha512'];
}

async function expectSignature(key: Key, algorithm: SignatureAlgorithm): Promise<void> {
  const data = Buffer.from('what is signed');
  const signature = await key.sign(algorithm, data);
  const publicKey = createPublicKey({ key: key.publicKey, format: 'der', type: 'spki' });
  const pss = algorithm.startsWith('rsa-pss')
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {};
  const digest = algorithm.slice(algorithm.lastIndexOf('-') + 1);
  expect({ algorithm, verifies: verify(digest, data, { key: publicKey, ...pss }, signature) }).toEqual({
    algorithm,
    verifies: true,
  });
}

async function publicKeys(manager: KeyManager): Promise<Record<string, string>> {
  return publicKeysOf(await manager.listKeys());
}

function publicKeysOf(keys: readonly Key[]): Record<string, string> {
  return Object.fromEntries(keys.map((key) => [key.id, key.publicKey.toString('hex')]));
}

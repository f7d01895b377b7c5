import type { KeyObject } from 'node:crypto';
import { compactVerify } from 'jose/jws/compact/verify';
import type { JwtAuthority } from '../bundle/bundle.ts';
import { keyFromSpki } from '../bundle/jwk.ts';
import { fitsAlgorithm, type JwsAlgorithm } from './algorithm.ts';

/** The outcome of a search for the authority that signed a token: it, or why nobody is known to have. */
export type Signature = { readonly authority: JwtAuthority } | { readonly cause: unknown };

/**
 * Finds the authority whose key signed a token. Of several that did, one that lives longest: a key may be listed twice.
 *
 * @param algorithm of the token's header; authorities whose key is of another kind or curve are passed over
 */
export async function findSigner(
  token: string,
  algorithm: JwsAlgorithm,
  authorities: readonly JwtAuthority[],
): Promise<Signature> {
  let cause: unknown;
  for (const authority of authorities.toSorted((a, b) => endOf(b) - endOf(a))) {
    try {
      const key = keyOf(authority);
      if (!fitsAlgorithm(key, algorithm)) continue;
      await compactVerify(token, key, { algorithms: [algorithm] });
      return { authority };
    } catch (error) {
      cause = error;
    }
  }
  return { cause };
}

/** Whether an authority has an end and has reached it. `now` is in Unix seconds. */
export function isOver(authority: JwtAuthority, now: number): boolean {
  return now >= endOf(authority);
}

/** Unix seconds. */
function endOf({ expiresAt }: JwtAuthority): number {
  return expiresAt === 0 ? Number.MAX_SAFE_INTEGER : expiresAt;
}

const keys = new WeakMap<JwtAuthority, KeyObject>();

/** Authorities are never changed, so their keys are decoded once. */
function keyOf(authority: JwtAuthority): KeyObject {
  const known = keys.get(authority);
  if (known !== undefined) return known;
  const key = keyFromSpki(authority.publicKey);
  keys.set(authority, key);
  return key;
}

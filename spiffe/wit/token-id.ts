import { SpiffeError } from '../error.ts';

const MIN_BYTES = 16;

/**
 * A `jti` that nobody else will come up with (WIT-SVID 3.3; WPT 2): at least 128 random bits.
 *
 * @throws SpiffeError `invalid-wit-svid`
 */
export function tokenIdOf(random: Uint8Array): string {
  if (random.length < MIN_BYTES) {
    throw new SpiffeError('invalid-wit-svid', `a token ID takes ${MIN_BYTES} random bytes or more`);
  }
  return Buffer.from(random).toString('base64url');
}

import { SpiffeError } from '../error.ts';

const SEQUENCE = 0x30;
const INTEGER = 0x02;

/**
 * Turns an ECDSA signature from its DER form, a SEQUENCE of two INTEGERs (RFC 3279 2.2.3), into the two numbers side
 * by side that JWS wants (RFC 7518 3.4).
 *
 * @param integerLength bytes of each number
 * @throws SpiffeError `invalid-der`
 */
export function ecdsaDerToJose(der: Uint8Array, integerLength: number): Buffer {
  // With numbers of up to 66 bytes the sequence may need one length byte more (0x81), but none of the numbers does.
  const longForm = der[1] === 0x81 ? 1 : 0;
  const start = 2 + longForm;
  if (der[0] !== SEQUENCE || der[1 + longForm] !== der.length - start) throw malformed();
  const jose = Buffer.alloc(2 * integerLength);
  const second = putInteger(der, start, jose.subarray(0, integerLength));
  const end = putInteger(der, second, jose.subarray(integerLength));
  if (end !== der.length) throw malformed();
  return jose;
}

/** Copies the INTEGER at `at` right-aligned into `target`. @returns where the next value begins */
function putInteger(der: Uint8Array, at: number, target: Uint8Array): number {
  const length = der[at + 1] ?? 0;
  const end = at + 2 + length;
  if (der[at] !== INTEGER || length === 0 || length > 0x7f || end > der.length) throw malformed();
  const isPadded = der[at + 2] === 0 && length > 1;
  const digits = der.subarray(isPadded ? at + 3 : at + 2, end);
  if (digits.length > target.length) throw malformed();
  target.set(digits, target.length - digits.length);
  return end;
}

function malformed(): SpiffeError {
  return new SpiffeError('invalid-der', 'ECDSA signature is malformed');
}

const BYTES = 16;

/**
 * A serial number for a certificate, from 1 to 2^128 - 1.
 *
 * @param random as many random bytes as it is asked for
 */
export function newSerialNumber(random: (size: number) => Uint8Array): bigint {
  for (;;) {
    const number = BigInt(`0x${Buffer.from(random(BYTES)).toString('hex')}`);
    // RFC 5280 4.1.2.2: positive. Sixteen zeros never come, and if they did, others would follow.
    if (number > 0n) return number;
  }
}

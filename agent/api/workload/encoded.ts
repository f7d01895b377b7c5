import type { Logger } from '../../../common/log/logger.ts';
import type { WorkloadUpdate } from '../../cache/contract.ts';

/** Clients accept no more than 4 MiB in one message unless told otherwise. */
const LARGE_RESPONSE = 3 * 1024 * 1024;

/** Encodes each update once, whatever the number of streams that send it: workloads alike share their updates. */
export function encodeOnce(
  encode: (update: WorkloadUpdate) => Buffer,
  log: Logger,
): (update: WorkloadUpdate) => Buffer {
  const encoded = new WeakMap<WorkloadUpdate, Buffer>();
  return (update) => {
    const known = encoded.get(update);
    if (known !== undefined) return known;
    const bytes = encode(update);
    if (bytes.length > LARGE_RESPONSE) {
      log.warn('Response is close to the size that clients accept', { size: bytes.length });
    }
    encoded.set(update, bytes);
    return bytes;
  };
}

/** Lets through what differs from what was let through before it. */
export function onChange(): (bytes: Buffer) => boolean {
  let previous: Buffer | undefined;
  return (bytes) => {
    if (previous?.equals(bytes) === true) return false;
    previous = bytes;
    return true;
  };
}

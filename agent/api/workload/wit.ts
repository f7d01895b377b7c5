import { FinialError } from '../../../common/errors.ts';
import type { ServerStreamHandler } from '../../../common/rpc/call.ts';

/** SPIFFE Workload API 7 is optional; the reference refuses it in these words. */
export const fetchWitSvid = refusing('fetching WIT-SVIDs is not implemented');
export const fetchWitBundles = refusing('fetching WIT bundles is not implemented');

function refusing(message: string): ServerStreamHandler<unknown, never> {
  return () => ({
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new FinialError('unimplemented', message)) }),
  });
}

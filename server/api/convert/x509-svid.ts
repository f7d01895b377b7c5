import type { X509SVID } from '../../../proto/gen/spire/api/types/X509SVID.ts';
import type { SpiffeId } from '../../../spiffe/id.ts';
import { idToProto } from './ids.ts';

/** @param svid.expiresAt Unix seconds */
export function x509SvidToProto(svid: {
  readonly chain: readonly Buffer[];
  readonly id: SpiffeId;
  readonly expiresAt: number;
}): X509SVID {
  // The hint is never set here: agents take it from the entry.
  return { cert_chain: svid.chain, id: idToProto(svid.id), expires_at: svid.expiresAt };
}

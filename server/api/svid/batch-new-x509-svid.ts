import { FinialError } from '../../../common/errors.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { UnaryHandler } from '../../../common/rpc/call.ts';
import { type ItemStatus, okItemStatus, toItemStatus } from '../../../common/rpc/status.ts';
import type { BatchNewX509SVIDRequest__Output } from '../../../proto/gen/spire/api/server/svid/v1/BatchNewX509SVIDRequest.ts';
import type { BatchNewX509SVIDResponse } from '../../../proto/gen/spire/api/server/svid/v1/BatchNewX509SVIDResponse.ts';
import type { NewX509SVIDParams__Output } from '../../../proto/gen/spire/api/server/svid/v1/NewX509SVIDParams.ts';
import type { Entry } from '../../../spiffe/registration/entry.ts';
import { requireMember } from '../../entries/id-rules.ts';
import type { IssuedX509Svid } from '../../issuance/issue.ts';
import { hashField } from '../audit-fields.ts';
import { callerIdOf, stateOf } from '../call-state.ts';
import { x509SvidToProto } from '../convert/x509-svid.ts';
import { limitOrRefuse, refuse, workOrRefuse } from '../refuse.ts';
import { verifiedCsr } from './csr.ts';
import type { LookupDeps, X509Deps } from './ports.ts';

type Deps = X509Deps & LookupDeps;

interface Outcome {
  readonly status: ItemStatus;
  readonly svid?: IssuedX509Svid;
}

/** Keeps the thread pool busy without holding up other calls while a long list of requests is read. */
const AT_ONCE = 32;

/**
 * Signs X509-SVIDs for entries that the calling agent may have. ID, DNS names and lifetime come from the entry; of the
 * request only the key counts, once its signature was verified.
 */
export function batchNewX509Svid(deps: Deps): UnaryHandler<BatchNewX509SVIDRequest__Output, BatchNewX509SVIDResponse> {
  return async ({ params }, call) => {
    const state = stateOf(call);
    const { audit, log } = state;
    if (params.length === 0) throw refuse(log, 'invalid-argument', 'missing parameters');
    await limitOrRefuse(state, params.length, 'rejecting request due to certificate signing rate limiting');
    const entries = deps.index.lookup(callerIdOf(state), new Set(params.map(({ entry_id: id }) => id)));
    const outcomes: Outcome[] = [];
    for (let from = 0; from < params.length; from += AT_ONCE) {
      const some = params.slice(from, from + AT_ONCE);
      outcomes.push(...(await Promise.all(some.map((one) => signOne(deps, one, entries, log)))));
    }
    const results = outcomes.map(({ status, svid }, i) => {
      audit.item(status, {
        csr: hashField(params[i]?.csr ?? Buffer.alloc(0)),
        entry_id: params[i]?.entry_id ?? '',
        spiffe_id: svid?.id ?? '',
        ...(svid && { expires_at: svid.expiresAt }),
      });
      return { status, ...(svid && { svid: x509SvidToProto(svid) }) };
    });
    return { results };
  };
}

async function signOne(
  deps: Deps,
  params: NewX509SVIDParams__Output,
  entries: ReadonlyMap<string, Entry>,
  log: Logger,
): Promise<Outcome> {
  try {
    return { status: okItemStatus, svid: await sign(deps, params, entries, log) };
  } catch (error) {
    if (!(error instanceof FinialError)) log.error('Unexpected error in handler', { error });
    return { status: toItemStatus(error) };
  }
}

async function sign(
  { issuer, trustDomain }: Deps,
  { csr: der, entry_id: entryId }: NewX509SVIDParams__Output,
  entries: ReadonlyMap<string, Entry>,
  log: Logger,
): Promise<IssuedX509Svid> {
  if (entryId === '') throw refuse(log, 'invalid-argument', 'missing entry ID');
  if (der.length === 0) throw refuse(log, 'invalid-argument', 'missing CSR');
  const about = log.with({ entry_id: entryId });
  const entry = entries.get(entryId);
  if (entry === undefined) throw refuse(about, 'not-found', 'entry not found or not authorized');
  const { publicKey } = await verifiedCsr(der, 'invalid CSR signature', about);
  const { dnsNames, spiffeId: id, x509SvidTtl: ttl } = entry;
  try {
    requireMember(id, trustDomain);
  } catch (error) {
    throw refuse(about, 'internal', 'entry has malformed SPIFFE ID', error);
  }
  const signing = issuer.workloadX509Svid({ publicKey, id, dnsNames, ttl });
  const svid = await workOrRefuse(about.with({ spiffe_id: id }), 'failed to sign X509-SVID', signing);
  about.debug('Signed X509 SVID', {
    spiffe_id: id,
    expiration: new Date(svid.expiresAt * 1000).toISOString(),
    serial_num: svid.serialNumber,
    revision_number: entry.revisionNumber,
  });
  return svid;
}

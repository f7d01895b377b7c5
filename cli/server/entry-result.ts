import type { CommandIo } from '../../common/cli/command.ts';
import type { Entry, Entry__Output } from '../../proto/gen/spire/api/types/Entry.ts';
import type { SPIFFEID } from '../../proto/gen/spire/api/types/SPIFFEID.ts';
import type { Status__Output } from '../../proto/gen/spire/api/types/Status.ts';
import { commandFailure, statusName } from '../failure.ts';
import { entryBlock } from './entry-print.ts';
import { int32FromFlag, selectorFromFlag } from './request.ts';

/** The values of `entryFlags` that both `create` and `update` read. */
export interface EntryValues {
  readonly entryID: string;
  readonly parentID: string;
  readonly spiffeID: string;
  readonly x509SVIDTTL: number;
  readonly jwtSVIDTTL: number;
  readonly selector: readonly string[];
  readonly federatesWith: readonly string[];
  readonly admin: boolean;
  readonly storeSVID: boolean;
  readonly downstream: boolean;
  readonly entryExpiry: number;
  readonly dns: readonly string[];
  readonly hint: string;
  readonly disableX509SVIDPrefetch: boolean;
  readonly jwtSVIDIncludeJTI: boolean;
}

/** @throws FinialError when a value is missing that every entry needs, or a lifetime is negative */
export function requireEntryFlags(flags: EntryValues): void {
  if (flags.spiffeID === '') throw commandFailure('a SPIFFE ID is required');
  if (flags.x509SVIDTTL < 0) throw commandFailure('a positive x509-SVID TTL is required');
  if (flags.jwtSVIDTTL < 0) throw commandFailure('a positive JWT-SVID TTL is required');
}

/** The entry that the flags describe, without additional attributes. */
export function entryFromFlags(flags: EntryValues, spiffeId: SPIFFEID, parentId: SPIFFEID): Entry {
  return {
    id: flags.entryID,
    spiffe_id: spiffeId,
    parent_id: parentId,
    x509_svid_ttl: int32FromFlag(flags.x509SVIDTTL, 'X509 SVID TTL'),
    jwt_svid_ttl: int32FromFlag(flags.jwtSVIDTTL, 'JWT SVID TTL'),
    selectors: flags.selector.map(selectorFromFlag),
    federates_with: flags.federatesWith,
    admin: flags.admin,
    downstream: flags.downstream,
    expires_at: flags.entryExpiry,
    dns_names: flags.dns,
    store_svid: flags.storeSVID,
    hint: flags.hint,
  };
}

interface EntryResult {
  readonly status: Status__Output | null;
  readonly entry: Entry | Entry__Output | null;
}

/** A failed item is shown as it was asked for, not as the similar entry that the server may send along. */
export function withRequested(results: readonly EntryResult[], requested: readonly Entry[]): EntryResult[] {
  return results.map((result, index) =>
    result.status?.code === 0 ? result : { ...result, entry: complete(requested[index] ?? {}) },
  );
}

/** A request with the defaults that a reply would carry, so that both print alike. */
function complete(entry: Entry): Entry {
  const none: Entry = { id: '', revision_number: '0', created_at: '0', expires_at: '0' };
  return { ...none, ...entry, expires_at: String(entry.expires_at ?? 0) };
}

/** Prints what was done, and what was not, with why. @throws FinialError when an item failed */
export function printEntryResults(io: CommandIo, results: readonly EntryResult[], verb: 'create' | 'update'): void {
  const failed = results.filter((one) => one.status?.code !== 0);
  for (const { status, entry } of results) if (status?.code === 0) io.out(entryBlock(entry ?? {}));
  for (const { status, entry } of failed) {
    const code = statusName(status?.code ?? 2);
    io.err(`Failed to ${verb} the following entry (code: ${code}, msg: ${JSON.stringify(status?.message ?? '')}):\n`);
    io.err(entryBlock(entry ?? {}));
  }
  if (failed.length > 0) throw commandFailure(`failed to ${verb} one or more entries`);
}

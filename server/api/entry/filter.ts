import { FinialError } from '../../../common/errors.ts';
import type { LogFields, Logger } from '../../../common/log/logger.ts';
import type { EntryFilter } from '../../../plugins/datastore/sql/contract.ts';
import type { _spire_api_server_entry_v1_ListEntriesRequest_Filter__Output as FilterMessage } from '../../../proto/gen/spire/api/server/entry/v1/ListEntriesRequest.ts';
import type { SPIFFEID__Output } from '../../../proto/gen/spire/api/types/SPIFFEID.ts';
import type { SpiffeId } from '../../../spiffe/id.ts';
import { parseTrustDomain, type TrustDomain } from '../../../spiffe/trust-domain.ts';
import { selectorMatchFromProto, setMatchFromProto } from '../convert/filters.ts';
import { memberIdFromProto, workloadIdFromProto } from '../convert/ids.ts';
import { readOrRefuse } from '../refuse.ts';

/** The filter of CountEntries and ListEntries. @throws FinialError `invalid-argument` naming the part at fault */
export function entryFilterFromProto(
  filter: FilterMessage | null,
  trustDomain: TrustDomain,
  log: Logger,
): { filter?: EntryFilter } {
  if (filter === null) return {};
  const { by_parent_id: parent, by_spiffe_id: spiffe, by_selectors: selectors, by_federates_with: federates } = filter;
  return {
    filter: {
      // An empty hint does not filter; the reference cannot tell it from none.
      ...(filter.by_hint && filter.by_hint.value !== '' && { hint: filter.by_hint.value }),
      ...(parent && {
        parentId: readOrRefuse(log, 'malformed parent ID filter', () => memberIdFromProto(parent, trustDomain)),
      }),
      ...(spiffe && {
        spiffeId: readOrRefuse(log, 'malformed SPIFFE ID filter', () => workloadIdFromProto(spiffe, trustDomain)),
      }),
      ...(selectors && { selectors: readOrRefuse(log, 'malformed selectors filter', () => selectorsOf(selectors)) }),
      ...(federates && {
        federatesWith: readOrRefuse(log, 'malformed federates with filter', () => federatesWithOf(federates)),
      }),
      ...(filter.by_downstream && { downstream: filter.by_downstream.value }),
    },
  };
}

function selectorsOf(message: NonNullable<FilterMessage['by_selectors']>): NonNullable<EntryFilter['selectors']> {
  const match = selectorMatchFromProto(message);
  if (match.selectors.length === 0) throw new FinialError('invalid-argument', 'empty selector set');
  return match;
}

function federatesWithOf(
  message: NonNullable<FilterMessage['by_federates_with']>,
): NonNullable<EntryFilter['federatesWith']> {
  const trustDomains = message.trust_domains.map((name) => parseTrustDomain(name));
  if (trustDomains.length === 0) throw new FinialError('invalid-argument', 'empty trust domain set');
  return { match: setMatchFromProto(message.match), trustDomains };
}

/** What the audit log says of a filter; selectors are left out, as they never enter a log. */
export function entryFilterFields(filter: FilterMessage | null, trustDomain: TrustDomain): LogFields {
  if (filter === null) return {};
  const parentId = readable(filter.by_parent_id, (id) => memberIdFromProto(id, trustDomain));
  const spiffeId = readable(filter.by_spiffe_id, (id) => workloadIdFromProto(id, trustDomain));
  return {
    ...(filter.by_hint && { hint: filter.by_hint.value }),
    ...(parentId !== undefined && { parent_id: parentId }),
    ...(spiffeId !== undefined && { spiffe_id: spiffeId }),
    ...(filter.by_selectors && { by_selector_match: filter.by_selectors.match }),
    ...(filter.by_federates_with && {
      federates_with_match: filter.by_federates_with.match,
      federates_with: filter.by_federates_with.trust_domains.join(','),
    }),
    ...(filter.by_downstream && { downstream: filter.by_downstream.value }),
  };
}

/** Undefined for what is absent or malformed: the audit log tells only what makes sense. */
export function readable(
  message: SPIFFEID__Output | null,
  read: (message: SPIFFEID__Output) => SpiffeId,
): SpiffeId | undefined {
  if (message === null) return undefined;
  try {
    return read(message);
  } catch {
    return undefined;
  }
}

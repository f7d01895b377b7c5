import type { LogFields } from '../../../common/log/logger.ts';
import type { Entry__Output } from '../../../proto/gen/spire/api/types/Entry.ts';
import type { EntryMask__Output } from '../../../proto/gen/spire/api/types/EntryMask.ts';
import { idFromProto } from '../convert/ids.ts';
import { readable } from './filter.ts';

/** What the audit log says of an entry in a request; selectors are left out, as they never enter a log. */
export function entryFields(entry: Entry__Output, mask: EntryMask__Output | null): LogFields {
  const named = (field: keyof EntryMask__Output): boolean => mask === null || mask[field];
  const spiffeId = named('spiffe_id') ? readable(entry.spiffe_id, idFromProto) : undefined;
  const parentId = named('parent_id') ? readable(entry.parent_id, idFromProto) : undefined;
  return {
    ...(entry.id !== '' && { entry_id: entry.id }),
    ...(spiffeId !== undefined && { spiffe_id: spiffeId }),
    ...(parentId !== undefined && { parent_id: parentId }),
    ...(named('x509_svid_ttl') && { x509_svid_ttl: entry.x509_svid_ttl }),
    ...(named('jwt_svid_ttl') && { jwt_svid_ttl: entry.jwt_svid_ttl }),
    ...(named('federates_with') &&
      entry.federates_with.length > 0 && { federates_with: entry.federates_with.join(',') }),
    ...(named('admin') && { admin: entry.admin }),
    ...(named('downstream') && { downstream: entry.downstream }),
    ...(named('expires_at') && { expires_at: Number(entry.expires_at) }),
    ...(named('dns_names') && entry.dns_names.length > 0 && { dns_name: entry.dns_names.join(',') }),
    ...(named('revision_number') && { revision_number: Number(entry.revision_number) }),
    ...(named('store_svid') && { store_svid: entry.store_svid }),
    ...(named('hint') && { hint: entry.hint }),
    ...(named('created_at') && { created_at: Number(entry.created_at) }),
  };
}

import { bidi, implement, type ImplementedService, unary } from '../../../common/rpc/service.ts';
import { entryService } from '../../../common/rpc/services.ts';
import type { EntryStore } from '../../../plugins/datastore/sql/contract.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import type { EntryIndex } from '../../entries/entry-index.ts';
import { batchCreateEntry } from './batch-create-entry.ts';
import { batchDeleteEntry } from './batch-delete-entry.ts';
import { batchUpdateEntry } from './batch-update-entry.ts';
import { countEntries } from './count-entries.ts';
import { entryEncoder, revisionEncoder } from './encoded-entries.ts';
import { getAuthorizedEntries } from './get-authorized-entries.ts';
import { getEntry } from './get-entry.ts';
import { listEntries } from './list-entries.ts';
import { syncAuthorizedEntries } from './sync-authorized-entries.ts';

/** What the methods below take. */
export interface EntryServiceDeps {
  readonly trustDomain: TrustDomain;
  readonly entries: EntryStore;
  readonly index: Pick<EntryIndex, 'authorized'>;
}

/** Registration entries: what operators do with them, and what agents may have of them. */
export function entryApi(deps: EntryServiceDeps): ImplementedService {
  return implement(entryService(), {
    CountEntries: unary(countEntries(deps)),
    ListEntries: unary(listEntries(deps)),
    GetEntry: unary(getEntry(deps)),
    BatchCreateEntry: unary(batchCreateEntry(deps)),
    BatchUpdateEntry: unary(batchUpdateEntry(deps)),
    BatchDeleteEntry: unary(batchDeleteEntry(deps)),
    GetAuthorizedEntries: unary(getAuthorizedEntries({ ...deps, encoder: entryEncoder(1) })),
    SyncAuthorizedEntries: bidi(
      syncAuthorizedEntries({ ...deps, encoder: entryEncoder(2), revisions: revisionEncoder(1) }),
    ),
  });
}

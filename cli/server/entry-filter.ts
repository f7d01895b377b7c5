import type { _spire_api_server_entry_v1_ListEntriesRequest_Filter as EntryFilter } from '../../proto/gen/spire/api/server/entry/v1/ListEntriesRequest.ts';
import { idFromFlag, matchFromFlag, selectorMatchFromFlags } from './request.ts';

/** The values of `entryFilterFlags`. */
export interface EntryFilterValues {
  readonly parentID: string;
  readonly spiffeID: string;
  readonly downstream: boolean;
  readonly selector: readonly string[];
  readonly federatesWith: readonly string[];
  readonly matchSelectorsOn: string;
  readonly matchFederatesWithOn: string;
  readonly hint: string;
}

/** The filter that the flags ask for. @throws FinialError naming the flag's value that is wrong */
export function entryFilter(flags: EntryFilterValues): EntryFilter {
  const filter: EntryFilter = { by_downstream: { value: flags.downstream } };
  if (flags.parentID !== '') filter.by_parent_id = idFromFlag(flags.parentID, 'error parsing parent ID');
  if (flags.spiffeID !== '') filter.by_spiffe_id = idFromFlag(flags.spiffeID, 'error parsing SPIFFE ID');
  if (flags.selector.length > 0) filter.by_selectors = selectorMatchFromFlags(flags.selector, flags.matchSelectorsOn);
  if (flags.federatesWith.length > 0) {
    filter.by_federates_with = { trust_domains: flags.federatesWith, match: matchFromFlag(flags.matchFederatesWithOn) };
  }
  if (flags.hint !== '') filter.by_hint = { value: flags.hint };
  return filter;
}

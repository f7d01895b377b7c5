import { describe } from 'vitest';
import { describeBundles } from './conformance/bundles.ts';
import { describeEntries } from './conformance/entries.ts';
import { describeEntryListing } from './conformance/entry-listing.ts';
import { describeEvents } from './conformance/events.ts';
import { describeJournals } from './conformance/journals.ts';
import { describeJoinTokens } from './conformance/join-tokens.ts';
import { describeNodes } from './conformance/nodes.ts';
import type { OpenTestDatabase } from './conformance/samples.ts';

/**
 * What every dialect must do. Calls `open` for each test; the suite closes what it opened.
 *
 * @param open a fresh, empty database
 */
export function runDataStoreConformance(open: OpenTestDatabase): void {
  describe('datastore conformance', () => {
    describeEntries(open);
    describeEntryListing(open);
    describeNodes(open);
    describeEvents(open);
    describeBundles(open);
    describeJoinTokens(open);
    describeJournals(open);
  });
}

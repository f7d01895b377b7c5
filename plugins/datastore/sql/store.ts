import type { Clock } from '../../../common/clock.ts';
import type { Logger } from '../../../common/log/logger.ts';
import { bundleStore } from './bundles.ts';
import { newChanges, type StoreContext } from './changes.ts';
import type { DataStore } from './contract.ts';
import type { SqlDatabase } from './database.ts';
import { entryStore } from './entries.ts';
import { entryReader } from './entry-reader.ts';
import { entryWriter } from './entry-writer.ts';
import { joinTokenStore } from './join-tokens.ts';
import { journalStore } from './journals.ts';
import { nodeReader } from './node-reader.ts';
import { nodeStore } from './nodes.ts';

/** The datastore over an open database of the current schema; it owns the database from here on. */
export function sqlStore(options: {
  readonly database: SqlDatabase;
  readonly clock: Clock;
  readonly log: Logger;
  /** A new random entry ID. */
  readonly newId: () => string;
}): DataStore {
  const { database, log } = options;
  const context: StoreContext = { ...options, changes: newChanges() };
  const entries = entryReader(database.values, log);
  const writer = entryWriter(context, entries);
  return {
    entries: entryStore(context, entries, writer),
    nodes: nodeStore(context, nodeReader(database.values, log), writer),
    bundles: bundleStore(context),
    joinTokens: joinTokenStore(context, writer),
    journals: journalStore(context),
    ...(database.version && { version: database.version }),
    close: () => database.close(),
  };
}

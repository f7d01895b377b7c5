import { FinialError, messageOf, withContext } from '../../../common/errors.ts';
import type { Clock } from '../../../common/clock.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { CaJournal, JournalStore } from '../../../plugins/datastore/sql/contract.ts';
import type { KeyManager } from '../../../plugins/key-manager/contract.ts';
import { authorityId } from '../../../spiffe/x509/profile.ts';
import { decodeJournal, encodeJournal } from './codec.ts';
import { type AuthorityRecord, allExpiredBefore, emptyJournal, type JournalEntries, rowKeyOf } from './record.ts';

/** Where the journal is kept, and whose it is. */
export interface JournalDeps {
  readonly journals: JournalStore;
  readonly keyManager: Pick<KeyManager, 'listKeys' | 'place' | 'keepCopy'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Logger;
}

/** The journal of this server among those of all servers that share the store. */
export interface Journal {
  /** As last saved. */
  readonly entries: JournalEntries;
  /** When it resolves the entries survive a crash; when it fails the previous ones stay, here and in the store. */
  save(entries: JournalEntries): Promise<void>;
}

/**
 * Finds this server's journal: the one whose row is keyed by the authority of a key that this server's KeyManager holds.
 * Without one it begins an empty journal, whose row is made by the first save.
 *
 * @throws FinialError when the store fails or the journal cannot be read; to begin anew would be to mint a new root
 */
export async function openJournal(deps: JournalDeps): Promise<Journal> {
  const { journals, keyManager, log } = deps;
  const found = await findJournal(journals, keyManager);
  let rowId = found?.rowId ?? 0;
  let entries = found === undefined ? emptyJournal : read(found);
  if (found === undefined) await tellOfMissing(deps);
  log.info('Journal loaded', {
    x509_cas: entries.x509.length,
    jwt_keys: entries.jwt.length,
    wit_keys: entries.wit.length,
  });
  return {
    get entries() {
      return entries;
    },
    async save(changed) {
      const activeX509AuthorityId = rowKeyOf(changed);
      if (activeX509AuthorityId === '') {
        throw new FinialError('internal', 'the CA journal cannot be saved before there is an X.509 authority');
      }
      if (rowId === 0) log.info('Creating a new CA journal entry');
      // The reference leaves the column of the JWT authority empty and never reads it.
      const row = { rowId, data: encodeJournal(changed), activeX509AuthorityId, activeJwtAuthorityId: '' };
      rowId = await journals.save(row);
      entries = changed;
      log.debug('Successfully stored CA journal entry in datastore', {
        ca_journal_id: rowId,
        local_authority_id: activeX509AuthorityId,
      });
    },
  };
}

/**
 * Deletes the journals, of any server, in which everything expired before `expiredBefore` (Unix seconds). One that cannot
 * be read is left alone, as nothing is known about it.
 */
export async function pruneJournals(
  { journals, log }: Pick<JournalDeps, 'journals' | 'log'>,
  expiredBefore: number,
): Promise<void> {
  for (const journal of await journals.list()) {
    try {
      if (!allExpiredBefore(decodeJournal(journal.data), expiredBefore)) continue;
    } catch (error) {
      log.warn('CA journal record cannot be read', { ca_journal_id: journal.rowId, error: messageOf(error) });
      continue;
    }
    await journals.delete(journal.rowId);
    log.info('Pruned stale CA journal record', { ca_journal_id: journal.rowId });
  }
}

/**
 * To begin anew is right on a first start only; otherwise keys or database were lost, and the operator must know. Keys that
 * nothing knows may be another server's only ones.
 */
async function tellOfMissing({ clock, journals, keyManager, log }: JournalDeps): Promise<void> {
  log.info('There is not a CA journal record that matches any of the local X509 authority IDs');
  const [records, keys] = [await journals.list(), await keyManager.listKeys()];
  if (records.length === 0 && keys.length === 0) return;
  const lost =
    keys.length === 0
      ? 'The datastore has CA journals but the KeyManager has no keys: unless this is another server on the datastore, keys were lost'
      : 'The KeyManager has keys but no CA journal of the datastore names them: keys or datastore are not those used before';
  const orphans = countValid(records, clock.now());
  const level = keys.length === 0 && orphans === 0 ? 'warn' : 'error';
  log[level](`${lost}. New authorities are made`, {
    keys_path: keyManager.place,
    keys: keys.length,
    keys_copied_to: keys.length === 0 ? undefined : await keyManager.keepCopy?.(),
    ca_journals: records.length,
    authorities_without_key: orphans,
  });
}

/** The authorities of all journals that would still sign or were about to. */
function countValid(journals: readonly CaJournal[], now: number): number {
  const recordsOf = (journal: CaJournal): readonly AuthorityRecord[] => {
    try {
      const { x509, jwt } = decodeJournal(journal.data);
      return [...x509, ...jwt];
    } catch {
      // Told by its pruning; nothing is known of its authorities.
      return [];
    }
  };
  return journals.flatMap(recordsOf).filter(({ notAfter, status }) => status !== 'old' && notAfter * 1000 > now).length;
}

async function findJournal(
  journals: JournalStore,
  keyManager: Pick<KeyManager, 'listKeys'>,
): Promise<CaJournal | undefined> {
  for (const key of await keyManager.listKeys()) {
    const journal = await journals.find(authorityId(key.publicKey));
    if (journal !== undefined) return journal;
  }
  return undefined;
}

function read(journal: CaJournal): JournalEntries {
  try {
    return decodeJournal(journal.data);
  } catch (error) {
    throw withContext(`unable to read CA journal record ${journal.rowId} (table ca_journals of the datastore)`, error);
  }
}

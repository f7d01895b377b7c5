import type { Selectable } from 'kysely';
import { FinialError } from '../../../common/errors.ts';
import { change, type StoreContext } from './changes.ts';
import type { CaJournal, JournalStore } from './contract.ts';
import { notFound } from './errors.ts';
import type { JournalTable } from './tables.ts';
import { insertTemplate } from './templates.ts';

/** Journals of authorities in SQL. */
export function journalStore(context: StoreContext): JournalStore {
  const { database } = context;
  const { values } = database;
  const insertJournal = insertTemplate('ca_journals', {
    created_at: '',
    updated_at: '',
    data: null,
    active_x509_authority_id: '',
    active_jwt_authority_id: '',
  });
  return {
    async find(activeX509AuthorityId) {
      if (activeX509AuthorityId === '') {
        throw new FinialError('invalid-argument', 'active X509 authority ID is required');
      }
      const row = await database.read((tx) =>
        tx
          .selectFrom('ca_journals')
          .selectAll()
          .where('active_x509_authority_id', '=', activeX509AuthorityId)
          .orderBy('id', 'desc')
          .limit(1)
          .executeTakeFirst(),
      );
      return row === undefined ? undefined : toJournal(row);
    },

    async list() {
      const rows = await database.read((tx) => tx.selectFrom('ca_journals').selectAll().orderBy('id').execute());
      return rows.map(toJournal);
    },

    save: (journal) =>
      change(context, async ({ tx, now }) => {
        const columns = {
          updated_at: values.time(now),
          data: journal.data,
          active_x509_authority_id: journal.activeX509AuthorityId,
          active_jwt_authority_id: journal.activeJwtAuthorityId,
        };
        if (journal.rowId === 0) {
          return insertJournal(tx, { ...columns, created_at: values.time(now) });
        }
        const { numUpdatedRows } = await tx
          .updateTable('ca_journals')
          .set(columns)
          .where('id', '=', journal.rowId)
          .executeTakeFirstOrThrow();
        if (numUpdatedRows === 0n) throw notFound();
        return journal.rowId;
      }),

    delete: (rowId) =>
      change(context, async ({ tx }) => {
        await tx.deleteFrom('ca_journals').where('id', '=', rowId).execute();
      }),
  };
}

function toJournal(row: Selectable<JournalTable>): CaJournal {
  return {
    rowId: row.id,
    data: row.data ?? Buffer.alloc(0),
    activeX509AuthorityId: row.active_x509_authority_id ?? '',
    activeJwtAuthorityId: row.active_jwt_authority_id ?? '',
  };
}

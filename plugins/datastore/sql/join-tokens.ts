import { FinialError } from '../../../common/errors.ts';
import { change, type StoreContext } from './changes.ts';
import type { JoinTokenStore } from './contract.ts';
import type { EntryWriter } from './entry-writer.ts';
import { template } from './templates.ts';

/** Join tokens in SQL. */
export function joinTokenStore(context: StoreContext, entries: EntryWriter): JoinTokenStore {
  const { values } = context.database;
  const find = template([''], (tx, token) =>
    tx.selectFrom('join_tokens').select(['id', 'expiry']).where('token', '=', token),
  );
  return {
    create: ({ token, expiresAt }, alias) =>
      change(context, async (write) => {
        if (token === '' || expiresAt === 0) {
          throw new FinialError('invalid-argument', 'token and expiry are required');
        }
        const time = values.time(write.now);
        await write.tx
          .insertInto('join_tokens')
          .values({ created_at: time, updated_at: time, token, expiry: expiresAt })
          .execute();
        if (alias !== undefined) await entries.create(write, alias);
      }),

    consume: (token) =>
      change(context, async ({ tx }) => {
        const [row] = await find(tx, token);
        if (row === undefined) return undefined;
        // Where a database lets two transactions read the row, only one of them deletes it.
        const { numDeletedRows } = await tx
          .deleteFrom('join_tokens')
          .where('id', '=', row.id)
          .executeTakeFirstOrThrow();
        return numDeletedRows === 1n ? { expiresAt: row.expiry ?? 0 } : undefined;
      }),
  };
}

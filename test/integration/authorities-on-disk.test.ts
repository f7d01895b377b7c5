import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log/logger.ts';
import { openSqlite } from '../../plugins/datastore/sql/sqlite/open.ts';
import { sqlStore } from '../../plugins/datastore/sql/store.ts';
import { serverDiskKeyManager } from '../../plugins/key-manager/disk/disk.ts';
import { activeIds, bundledIds, HOUR, type Machine, startOn } from '../support/authorities.ts';
import { pluginContext } from '../support/plugin-context.ts';
import { scratchFolder } from '../support/scratch.ts';

const folder = scratchFolder();

/** Opens everything anew from the files, as a new process does. */
async function boot(
  clock: ManualClock,
): Promise<{ readonly machine: Machine; readonly shutdown: () => Promise<void> }> {
  const database = await openSqlite({
    connectionString: path.join(folder, 'datastore.sqlite3'),
    disableMigration: false,
    logSql: false,
    clock,
    log: silentLogger,
  });
  const newId = (): string => randomBytes(16).toString('hex');
  const store = sqlStore({ database, clock, log: silentLogger, newId });
  const keyManager = await serverDiskKeyManager.create(
    { keys_path: path.join(folder, 'keys.json') },
    pluginContext({ clock }),
    undefined,
  );
  const { bundles, journals } = store;
  return { machine: { bundles, clock, journals, keyManager }, shutdown: async () => store.close() };
}

describe('authorities on SQLite and a keys file', () => {
  it('outlive the process, through a rotation', async () => {
    const clock = new ManualClock();
    const ids: ReturnType<typeof activeIds>[] = [];
    for (const hours of [0, 11, 2, 8, 1]) {
      clock.jump(clock.now() + hours * HOUR);
      const { machine, shutdown } = await boot(clock);
      const authorities = await startOn(machine);
      ids.push(activeIds(authorities));
      const bundled = await bundledIds(machine);
      expect(bundled.x509).toHaveLength(clock.now() - Date.UTC(2026, 0, 1) > 12 * HOUR ? 2 : 1);
      expect(await machine.journals.list()).toHaveLength(1);
      await authorities.close();
      await shutdown();
    }
    const [first, second, third, fourth, fifth] = ids;
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    expect(fourth?.x509).not.toBe(first?.x509);
    expect(fourth?.jwt).not.toBe(first?.jwt);
    expect(fifth).toEqual(fourth);
  });
});

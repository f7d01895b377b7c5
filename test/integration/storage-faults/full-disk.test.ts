import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../common/clock.ts';
import { keysInProcess } from '../../../common/keys-in-process.ts';
import { silentLogger } from '../../../common/log/logger.ts';
import { openSqlite } from '../../../plugins/datastore/sql/sqlite/open.ts';
import { sqlStore } from '../../../plugins/datastore/sql/store.ts';
import { serverDiskKeyManager } from '../../../plugins/key-manager/disk/disk.ts';
import { bundledIds, newMachine, startOn } from '../../support/authorities.ts';
import { eventually, makeSite, type Site, TRUST_DOMAIN } from '../../support/daemons.ts';
import { pluginContext } from '../../support/plugin-context.ts';
import { scratchFolder } from '../../support/scratch.ts';
import { noMount, smallDisk } from './unwritable.ts';

const folder = scratchFolder();
const disk = path.join(folder, 'server');
const small = smallDisk(disk);
if (small === undefined) noMount('tests of a full disk');
const fill = (): void => small?.fill();
const makeRoom = (): void => rmSync(small?.filler ?? '');

describe.skipIf(small === undefined)('a full disk', () => {
  let site: Site;
  beforeAll(async () => {
    site = await makeSite(folder);
  });
  afterAll(async () => {
    await site.stop();
    small?.unmount();
  });
  const create = (n: number) =>
    site.serverCommand(
      ...['entry', 'create', '-parentID', `spiffe://${TRUST_DOMAIN}/node`],
      ...['-spiffeID', `spiffe://${TRUST_DOMAIN}/w${n}`, '-selector', `unix:uid:${n}`, '-hint', 'x'.repeat(1000)],
    );
  const count = async (): Promise<string> => (await site.serverCommand('entry', 'count')).out;

  it('stops a first start by name, which succeeds when there is space', async () => {
    fill();
    site.server.start();
    await eventually('the end of the server', () => expect(site.server.running).toBe(false));
    expect(await site.server.ended()).toBe(1);
    expect(site.server.output).toMatch(/server\/(datastore\.sqlite3|keys\.json)/);
    makeRoom();
    await site.startServer();
  });

  it('fails writes with a clear status, keeps reads and state, and ends when there is space', async () => {
    expect((await create(0)).code).toBe(0);
    fill();
    let written = 1;
    let failed = '';
    // The log has some room from before.
    for (let n = 1; n < 300 && failed === ''; n += 1) {
      const { code, err } = await create(n);
      if (code === 0) written += 1;
      else failed = err;
    }
    expect(failed).toContain('disk is full');
    expect(await count()).toContain(`${written} registration`);
    expect((await site.serverCommand('healthcheck')).code).toBe(0);
    makeRoom();
    expect((await create(1000)).code).toBe(0);
    expect(await count()).toContain(`${written + 1} registration`);
  });

  it('keeps the keys when a rotation cannot write them, which works later', async () => {
    const keys = path.join(disk, 'of-rotation.json');
    const keyManager = await serverDiskKeyManager.create({ keys_path: keys }, pluginContext(), undefined);
    const authorities = await startOn(newMachine({ keyManager }));
    const { x509Rotation } = authorities;
    const before = readFileSync(keys);
    const current = x509Rotation.current;
    fill();
    await expect(x509Rotation.prepare()).rejects.toThrow(`unable to write keys file ${keys}: ENOSPC`);
    expect(readFileSync(keys).equals(before)).toBe(true);
    expect(existsSync(`${keys}.tmp`)).toBe(false);
    expect(x509Rotation).toMatchObject({ current, next: undefined });
    makeRoom();
    await x509Rotation.prepare();
    expect(x509Rotation.next).toMatchObject({ status: 'prepared' });
    expect(Object.keys((JSON.parse(readFileSync(keys, 'utf8')) as { keys: object }).keys)).toContain('x509-CA-B');
    await authorities.close();
  });

  it('keeps the active authorities when the journal cannot be written, and activates the next once later', async () => {
    const keyManager = keysInProcess();
    const log = silentLogger;
    const clock = new ManualClock(Date.now());
    const database = await openSqlite({
      ...{
        connectionString: path.join(disk, 'of-activation.sqlite3'),
        disableMigration: false,
        logSql: false,
        clock,
        log,
      },
    });
    const store = sqlStore({ database, clock, log, newId: randomUUID });
    const machine = { ...store, keyManager, clock };
    const authorities = await startOn(machine);
    const { x509Rotation } = authorities;
    await x509Rotation.prepare();
    const { current, next } = x509Rotation;
    const bundle = await bundledIds(machine);
    fill();
    const activate = () => x509Rotation.activate(next?.authorityId ?? '');
    // The log has some room from before.
    await eventually('a full disk', async () => {
      await expect(
        store.journals.save({
          rowId: 0,
          data: Buffer.alloc(9000),
          activeX509AuthorityId: 'x',
          activeJwtAuthorityId: '',
        }),
      ).rejects.toThrow('disk is full');
    });
    await expect(activate()).rejects.toThrow('disk is full');
    expect(x509Rotation).toMatchObject({ current, next });
    expect(authorities.x509.current).toMatchObject({ authorityId: current?.authorityId });
    makeRoom();
    await activate();
    expect(x509Rotation.current).toMatchObject({ authorityId: next?.authorityId, status: 'active' });
    await authorities.close();
    const restarted = await startOn(machine);
    expect(restarted.x509Rotation.current).toEqual(x509Rotation.current);
    expect(await bundledIds(machine)).toEqual(bundle);
    await restarted.close();
    await store.close();
  });

  it('loses no authority over a restart on a full disk', async () => {
    const keys = readFileSync(path.join(disk, 'keys.json'));
    const bundle = (await site.serverCommand('bundle', 'show')).out;
    await site.server.stop('SIGKILL');
    fill();
    site.server.start();
    await eventually('a server that is healthy or gives up', async () => {
      if (site.server.running) expect((await site.serverCommand('healthcheck')).code).toBe(0);
    });
    expect(readFileSync(path.join(disk, 'keys.json')).equals(keys)).toBe(true);
    await site.server.stop();
    makeRoom();
    await site.startServer();
    expect((await site.serverCommand('bundle', 'show')).out).toBe(bundle);
  });
});

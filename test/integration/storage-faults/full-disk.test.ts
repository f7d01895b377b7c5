import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverDiskKeyManager } from '../../../plugins/key-manager/disk/disk.ts';
import { newMachine, startOn } from '../../support/authorities.ts';
import { eventually, makeSite, type Site, TRUST_DOMAIN } from '../../support/daemons.ts';
import { pluginContext } from '../../support/plugin-context.ts';
import { scratchFolder } from '../../support/scratch.ts';

const folder = scratchFolder();
const disk = path.join(folder, 'server');
const filler = path.join(disk, 'filler');
mkdirSync(disk);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]).status === 0;
if (!mounted) console.warn('tests of a full disk skipped: this user cannot mount a tmpfs');

/** Leaves no block free. */
function fill(): void {
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(filler, Buffer.alloc(bavail * bsize));
  expect(statfsSync(disk).bavail).toBe(0);
}

describe.skipIf(!mounted)('a full disk', () => {
  let site: Site;
  beforeAll(async () => {
    site = await makeSite(folder);
  });
  afterAll(async () => {
    await site.stop();
    // Lazily: the lock of the keys file is held until this process ends.
    expect(spawnSync('umount', ['--lazy', disk]).status).toBe(0);
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
    rmSync(filler);
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
    rmSync(filler);
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
    rmSync(filler);
    await x509Rotation.prepare();
    expect(x509Rotation.next).toMatchObject({ status: 'prepared' });
    expect(Object.keys((JSON.parse(readFileSync(keys, 'utf8')) as { keys: object }).keys)).toContain('x509-CA-B');
    await authorities.close();
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
    rmSync(filler);
    await site.startServer();
    expect((await site.serverCommand('bundle', 'show')).out).toBe(bundle);
  });
});

import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createX509Source, type X509Source } from '../../../client/index.ts';
import { authoritiesOf, eventually, makeSite, type Site, TRUST_DOMAIN } from '../../support/daemons.ts';
import { scratchFolder } from '../../support/scratch.ts';
import { findFaketime, settableClock } from '../../support/set-clock.ts';
import { readOnly, smallDisk } from './unwritable.ts';

// Rotations come due while the server's disk is full and the agent's folder cannot be written.

const MINUTE = 60_000;
/** Authorities are looked after every ten seconds. */
const PATIENCE_MS = 45_000;

const folder = scratchFolder();
const inServer = (name: string): string => path.join(folder, 'server', name);
const inAgent = (name: string): string => path.join(folder, 'agent', name);
const faketime = findFaketime();
const disk = faketime === undefined ? undefined : smallDisk(path.join(folder, 'server'));
if (faketime === undefined)
  console.warn('tests of rotations skipped: libfaketime is not here (Debian package faketime)');
else if (disk === undefined)
  console.warn('rotations are tested in a read-only folder, not on a full disk: this user cannot mount anything');

/** Lets nothing new be written on the server: for lack of room, or of permission. @returns what undoes it */
function block(): (() => void) | undefined {
  if (disk === undefined) return readOnly(path.join(folder, 'server'));
  disk.fill();
  return () => rmSync(disk.filler);
}

const keyIds = (file: string): string[] =>
  Object.keys((JSON.parse(readFileSync(file, 'utf8')) as { keys: Record<string, string> }).keys);

describe.skipIf(faketime === undefined)('rotations that are due while nothing can be written', () => {
  const time = settableClock(faketime ?? '', folder);
  let site: Site;
  let source: X509Source;
  beforeAll(async () => {
    site = await makeSite(folder, {
      server: 'ca_ttl = "60m"\n  agent_ttl = "60m"',
      agent: 'experimental { sync_interval = "1s" }',
      env: time.env,
    });
    await site.startServer();
    const parent = await site.attestAgent();
    const selector = `unix:uid:${process.geteuid?.() ?? 0}`;
    const entry = ['-parentID', parent, '-spiffeID', `spiffe://${TRUST_DOMAIN}/workload`, '-selector', selector];
    expect((await site.serverCommand('entry', 'create', ...entry)).code).toBe(0);
    source = await createX509Source({ address: `unix:${site.agentSocket}`, clock: time.clock, timeoutMs: PATIENCE_MS });
  });
  afterAll(async () => {
    source?.close();
    await site?.stop();
    disk?.unmount();
  });

  const bundle = async (): Promise<ReturnType<typeof authoritiesOf>> =>
    authoritiesOf((await site.serverCommand('bundle', 'show', '-output', 'json')).out);
  const told = (output: string, line: RegExp): number => output.split('\n').filter((one) => line.test(one)).length;
  const eventuallyTold = (daemon: Site['server'], line: RegExp): Promise<void> =>
    eventually(String(line), () => expect(daemon.output).toMatch(line), PATIENCE_MS);

  it('fail by name, nothing else does, and each goes through once when there is room', async ({ skip }) => {
    const before = { bundle: await bundle(), keys: readFileSync(inServer('keys.json')) };
    const agentKeys = readFileSync(inAgent('keys.json'));
    const undo = [readOnly(path.join(folder, 'agent')), block()];
    try {
      if (undo.includes(undefined)) return skip('this user cannot make a folder read-only');
      // Past the moment to activate the successors, with half of the agent's own SVID over.
      time.set(52 * MINUTE);
      await eventuallyTold(
        site.agent,
        new RegExp(
          `level=error msg="Could not rotate agent SVID".*unable to write keys file ${inAgent('keys.json')}: (EROFS|EACCES)`,
        ),
      );
      for (const kind of ['X509 CA', 'JWT key']) {
        const line = `level=error msg="Unable to rotate ${kind}".*unable to write keys file ${inServer('keys.json')}: (ENOSPC|EACCES|EROFS)`;
        await eventuallyTold(site.server, new RegExp(line));
      }
      // Signs as before, and lost nothing.
      const minted = await site.serverCommand(
        'jwt',
        'mint',
        '-spiffeID',
        `spiffe://${TRUST_DOMAIN}/x`,
        '-audience',
        'a',
      );
      expect(minted).toMatchObject({ code: 0, err: '' });
      expect((await site.serverCommand('healthcheck')).code).toBe(0);
      expect((await site.agentCommand('healthcheck')).code).toBe(0);
      expect(await bundle()).toEqual(before.bundle);
      expect(readFileSync(inServer('keys.json')).equals(before.keys)).toBe(true);
      expect(readFileSync(inAgent('keys.json')).equals(agentKeys)).toBe(true);
      expect(source.svid.id).toBe(`spiffe://${TRUST_DOMAIN}/workload`);
    } finally {
      for (const one of undo) one?.();
    }
    await eventuallyTold(site.agent, /Successfully rotated agent SVID/);
    for (const kind of ['X509 CA', 'JWT key']) {
      await eventually(
        kind,
        () => expect(told(site.server.output, new RegExp(`msg="${kind} activated"`))).toBe(2),
        PATIENCE_MS,
      );
      expect(told(site.server.output, new RegExp(`msg="${kind} prepared"`))).toBe(2);
    }
    const after = await bundle();
    expect(after.x509).toEqual([...before.bundle.x509, expect.any(String)]);
    expect(after.jwt).toEqual([...before.bundle.jwt, expect.any(String)]);
    expect(keyIds(inServer('keys.json'))).toEqual(['JWT-Signer-A', 'JWT-Signer-B', 'x509-CA-A', 'x509-CA-B']);
    expect(site.agent.running && site.server.running).toBe(true);

    const began = site.server.output.length;
    await site.server.stop('SIGKILL');
    await site.startServer();
    expect(await bundle()).toEqual(after);
    const said = site.server.output.slice(began);
    expect(said).not.toMatch(/slot unusable|prepared/);
    expect(told(said, /msg="(X509 CA|JWT key) activated"/)).toBe(2);
  }, 150_000);
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createX509Source, type X509Source } from '../../client/index.ts';
import { eventually, makeSite, type Site, TRUST_DOMAIN } from '../support/daemons.ts';
import { scratchFolder } from '../support/scratch.ts';

const folder = scratchFolder();
const selector = `unix:uid:${process.geteuid?.() ?? 0}`;
let site: Site;
let agentId: string;
let source: X509Source;

/** Asked by themselves, agents would hear of a change after ten minutes: a test that ends was told by hints. */
const NEVER = 'experimental { sync_interval = "10m" }';

beforeAll(async () => {
  site = await makeSite(folder, { agent: NEVER });
  await site.startServer();
  agentId = await site.attestAgent();
}, 60_000);
afterAll(async () => {
  source?.close();
  await site.stop();
});

const create = (path: string, ...more: string[]) =>
  site.serverCommand(
    ...['entry', 'create', '-parentID', agentId, '-spiffeID', `spiffe://${TRUST_DOMAIN}${path}`],
    ...['-selector', selector, ...more],
  );

const held = (): readonly string[] => source.svids.map(({ id }) => id).toSorted();

async function untilHeld(...paths: string[]): Promise<void> {
  const wanted = paths.map((path) => `spiffe://${TRUST_DOMAIN}${path}`);
  await eventually(`the SVIDs ${wanted.join(', ')}`, () => expect(held()).toEqual(wanted));
}

describe('an agent that is told of changes', () => {
  it('gives a workload that waits its first identity as soon as there is an entry', async () => {
    const waiting = createX509Source({ address: `unix:${site.agentSocket}`, timeoutMs: 15_000 });
    expect((await create('/first')).code).toBe(0);
    source = await waiting;
    await untilHeld('/first');
  });

  it('hands on what is added, changed and deleted', async () => {
    expect((await create('/second', '-entryID', 'second')).code).toBe(0);
    await untilHeld('/first', '/second');
    const changed = await site.serverCommand(
      ...['entry', 'update', '-entryID', 'second', '-parentID', agentId],
      ...['-spiffeID', `spiffe://${TRUST_DOMAIN}/renamed`, '-selector', selector],
    );
    expect(changed.code).toBe(0);
    await untilHeld('/first', '/renamed');
    expect((await site.serverCommand('entry', 'delete', '-entryID', 'second')).code).toBe(0);
    await untilHeld('/first');
  });

  it('hears again of changes after the server was started anew', async () => {
    await site.server.stop();
    await site.startServer();
    expect((await create('/third')).code).toBe(0);
    await untilHeld('/first', '/third');
  });

  it('is not told any more once it is banned', async () => {
    expect((await site.serverCommand('agent', 'ban', '-spiffeID', agentId)).code).toBe(0);
    await eventually('the end of its stream', () => {
      expect(site.server.output).toContain('Failed to authenticate caller');
    });
  });
});

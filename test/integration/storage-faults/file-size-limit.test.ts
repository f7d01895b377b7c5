import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authoritiesOf, eventually, makeSite, type Site, TRUST_DOMAIN } from '../../support/daemons.ts';
import { scratchFolder } from '../../support/scratch.ts';

// A process that may not make files grow (RLIMIT_FSIZE) gets SIGXFSZ, which ends it, or EFBIG.

const folder = scratchFolder();
const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;
if (!hasPrlimit) console.warn('tests of a limit of file sizes skipped: prlimit(1) is not here');

describe.skipIf(!hasPrlimit)('a process whose files may not grow', () => {
  let site: Site;
  beforeAll(async () => {
    site = await makeSite(folder);
    await site.startServer();
    await site.attestAgent();
  });
  afterAll(() => site?.stop());

  /** The soft limit alone, so that an ordinary user may take it back. */
  const limit = (pid: number, bytes: number | 'unlimited'): void =>
    expect(spawnSync('prlimit', ['--pid', `${pid}`, `--fsize=${bytes}:`]).status).toBe(0);
  const create = (n: number) =>
    site.serverCommand(
      ...['entry', 'create', '-parentID', `spiffe://${TRUST_DOMAIN}/node`],
      ...['-spiffeID', `spiffe://${TRUST_DOMAIN}/w${n}`, '-selector', `unix:uid:${n}`],
    );

  it('goes on as a server: writes fail by name, reads and signing do not', async () => {
    const count = (await site.serverCommand('entry', 'count')).out;
    const bundle = authoritiesOf((await site.serverCommand('bundle', 'show', '-output', 'json')).out);
    limit(site.server.pid, 512);
    const { code, err } = await create(1);
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining('datastore.sqlite3') });
    expect((await site.serverCommand('entry', 'count')).out).toBe(count);
    const mint = ['jwt', 'mint', '-spiffeID', `spiffe://${TRUST_DOMAIN}/x`, '-audience', 'a'];
    expect((await site.serverCommand(...mint)).code).toBe(0);
    limit(site.server.pid, 'unlimited');
    expect((await create(1)).code).toBe(0);
    expect(authoritiesOf((await site.serverCommand('bundle', 'show', '-output', 'json')).out)).toEqual(bundle);
  });

  it('ends as a server that cannot start, not by the signal, and keeps its keys', async () => {
    const { server } = site;
    await server.stop('SIGKILL');
    const [began, keys] = [server.output.length, readFileSync(path.join(folder, 'server', 'keys.json'))];
    server.start();
    limit(server.pid, 512);
    await eventually('the end of the server', () => expect(server.running).toBe(false));
    expect(await server.ended()).toBe(1);
    expect(server.output.slice(began)).toContain(path.join(folder, 'server', 'datastore.sqlite3'));
    expect(readFileSync(path.join(folder, 'server', 'keys.json')).equals(keys)).toBe(true);
    await site.startServer();
  });

  it('goes on as an agent: names what cannot be written, and keeps its keys', async () => {
    const { agent } = site;
    await agent.stop('SIGKILL');
    const began = agent.output.length;
    agent.start();
    limit(agent.pid, 512);
    const file = path.join(folder, 'agent', 'agent-data.json');
    await eventually('an error', () => expect(agent.output.slice(began)).toContain(`unable to write ${file}: EFBIG`));
    expect(agent.running).toBe(true);
    expect(agent.output.slice(began)).not.toContain('Generating new keypair');
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { workloadApi } from '../../client/workload-api.ts';
import type { X509Context } from '../../client/x509-context.ts';
import type { FinialError } from '../../common/errors.ts';
import { authoritiesOf, eventually, makeSite, type Site } from '../support/daemons.ts';
import { scratchFolder } from '../support/scratch.ts';

let site: Site;
let agentId: string;

beforeAll(async () => {
  site = await makeSite(scratchFolder());
  await site.startServer();
  agentId = await site.attestAgent();
  const entry = ['-spiffeID', 'spiffe://example.org/web', '-selector', `unix:uid:${process.geteuid?.()}`];
  const { code } = await site.serverCommand('entry', 'create', '-parentID', agentId, ...entry);
  expect(code).toBe(0);
}, 60_000);

afterAll(() => site.stop());

const bundle = async (): Promise<ReturnType<typeof authoritiesOf>> =>
  authoritiesOf((await site.serverCommand('bundle', 'show', '-output', 'json')).out);
const entries = async (): Promise<string> => (await site.serverCommand('entry', 'show', '-output', 'json')).out;

describe('after kill -9', () => {
  it('the server continues with the same authorities, entries and agents, and no new root', async () => {
    const before = { authorities: await bundle(), entries: await entries() };
    expect(before.authorities).toMatchObject({ x509: { length: 1 }, jwt: { length: 1 } });
    for (let round = 0; round < 2; round += 1) {
      await site.server.stop('SIGKILL');
      await site.startServer();
      expect({ authorities: await bundle(), entries: await entries() }).toEqual(before);
    }
    expect((await site.serverCommand('agent', 'list')).out).toContain(agentId);
  }, 60_000);

  it("a workload's stream resumes by itself when the agent comes back, without a new attestation", async () => {
    const api = workloadApi({ address: `unix://${site.agentSocket}` });
    const stop = new AbortController();
    const seen: X509Context[] = [];
    const interruptions: string[] = [];
    const following = (async () => {
      const onError = ({ code }: FinialError): void => void interruptions.push(code);
      for await (const context of api.x509.watch({ signal: stop.signal, onError })) seen.push(context);
    })();
    await eventually('the first identity', () => expect(seen.length).toBeGreaterThan(0));
    await site.agent.stop('SIGKILL');
    await eventually('the interruption', () => expect(interruptions.length).toBeGreaterThan(0));
    const count = seen.length;
    await site.restartAgent();
    await eventually('the identity again', () => expect(seen.length).toBeGreaterThan(count));
    expect(seen.at(-1)?.svids[0].id).toBe('spiffe://example.org/web');
    stop.abort();
    await following;
    api.close();
    const list = await site.serverCommand('agent', 'count');
    expect(list.out).toBe('1 attested agent\n');
  }, 60_000);

  it('the agent keeps serving while the server is away, and takes up new entries once it is back', async () => {
    await site.server.stop('SIGKILL');
    expect((await site.agentCommand('api', 'fetch', 'x509')).out).toContain('spiffe://example.org/web');
    await site.startServer();
    const entry = ['-spiffeID', 'spiffe://example.org/late', '-selector', `unix:uid:${process.geteuid?.()}`];
    await site.serverCommand('entry', 'create', '-parentID', agentId, ...entry);
    await eventually('the new identity', async () => {
      expect((await site.agentCommand('api', 'fetch', 'x509')).out).toContain('spiffe://example.org/late');
    });
  }, 60_000);

  it('both stop cleanly on SIGTERM and leave no socket behind', async () => {
    expect(await site.agent.stop()).toBe(0);
    expect(await site.server.stop()).toBe(0);
    expect((await site.serverCommand('healthcheck')).code).toBe(1);
  }, 60_000);
});

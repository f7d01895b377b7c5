import { spawnSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, fileText, makeSite, run, type Site } from '../support/daemons.ts';
import { scratchFolder } from '../support/scratch.ts';

/** One site for the whole file: real processes, real sockets, real SQLite. */
const folder = scratchFolder();
let site: Site;
let agentId: string;

beforeAll(async () => {
  site = await makeSite(folder);
  await site.startServer();
  agentId = await site.attestAgent();
}, 60_000);

afterAll(() => site.stop());

const uid = process.geteuid?.() ?? 0;
if (uid !== 0) console.warn('one test skipped: only root can start a process of another user');

describe('the main job', () => {
  it('lists the agent that attested with the token', async () => {
    const { out, code } = await site.serverCommand('agent', 'list');
    expect(code).toBe(0);
    expect(out).toMatch(/^Found 1 attested agent:\n\nSPIFFE ID {9}: /);
    expect(out).toContain(agentId);
    expect(out).toContain('Attestation type  : join_token');
    expect(out).toContain('Can re-attest     : false');
    expect(out).toMatch(/Agent version {5}: 1\.15\.3/);
  });

  it('gives a registered process its identity, and a JWT-SVID that the agent accepts', async () => {
    const created = await site.serverCommand(
      ...[
        'entry',
        'create',
        '-parentID',
        agentId,
        '-spiffeID',
        'spiffe://example.org/web',
        '-selector',
        `unix:uid:${uid}`,
      ],
      ...['-dns', 'web.example.org', '-hint', 'internal', '-x509SVIDTTL', '600'],
    );
    expect(created).toMatchObject({ code: 0, err: '' });
    expect(created.out).toContain('SPIFFE ID               : spiffe://example.org/web\n');
    const svid = await eventually('the identity', async () => {
      const fetched = await site.agentCommand('api', 'fetch', 'x509');
      expect(fetched).toMatchObject({ code: 0, err: '' });
      return fetched;
    });
    expect(svid.out).toMatch(
      /^Received 1 svid after [0-9.]+(ms|s)\n\nSPIFFE ID:\t\tspiffe:\/\/example\.org\/web\nHint:\t\t\tinternal\n/,
    );

    const jwt = await site.agentCommand('api', 'fetch', 'jwt', '-audience', 'me');
    const token = /\t(\S+\.\S+\.\S+)\n/.exec(jwt.out)?.[1] ?? '';
    const valid = await site.agentCommand('api', 'validate', 'jwt', '-audience', 'me', '-svid', token);
    expect(valid.out).toMatch(
      /^SVID is valid\.\nSPIFFE ID : spiffe:\/\/example\.org\/web\nClaims {4}: \{"aud":\["me"\],/,
    );
    const other = await site.agentCommand('api', 'validate', 'jwt', '-audience', 'you', '-svid', token);
    expect(other).toMatchObject({
      code: 1,
      err: 'SVID is not valid: expected audience in ["you"] (audience=["me"])\n',
    });
  });

  it('writes SVID, key and bundle where openssl verifies them', async () => {
    const { code } = await site.agentCommand('api', 'fetch', 'x509', '-write', folder, '-silent');
    expect(code).toBe(0);
    expect(statSync(path.join(folder, 'svid.0.key')).mode & 0o777).toBe(0o600);
    const args = ['verify', '-CAfile', path.join(folder, 'bundle.0.pem'), path.join(folder, 'svid.0.pem')];
    expect(String(spawnSync('openssl', args).stdout)).toContain('svid.0.pem: OK');
  });

  it.runIf(uid === 0)('refuses a process that nobody registered, and tells the operator why', async () => {
    const refused = await run('spire-agent', ['api', 'fetch', 'x509', '-socketPath', site.agentSocket], {
      uid: 54_321,
    });
    expect(refused).toMatchObject({ code: 1, err: 'rpc error: code = PermissionDenied desc = no identity issued\n' });
    expect(site.agent.output).toContain('No identity issued');
  });

  it('takes a join token once', async () => {
    const second = await makeSite(path.join(folder, 'second'));
    const config = fileText(folder, 'agent.conf').replaceAll(`${folder}/agent"`, `${second.folder}/agent"`);
    writeFileSync(
      path.join(second.folder, 'agent.conf'),
      config.replace(`${folder}/public`, `${second.folder}/public`),
    );
    second.agent.start(['-joinToken', agentId.split('/').at(-1) ?? '']);
    await eventually('the refusal in the log', () => {
      expect(second.agent.output).toContain('join token does not exist or has already been used');
    });
    await second.stop();
  });

  it('keeps keys and state unreadable for others', () => {
    const files = ['server/keys.json', 'agent/keys.json', 'agent/agent-data.json'];
    expect(files.map((file) => statSync(path.join(folder, file)).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
    expect(statSync(site.serverSocket).mode & 0o777).toBe(0o770);
    expect(statSync(site.agentSocket).mode & 0o777).toBe(0o777);
  });

  it('never lets a key or a token reach a log', () => {
    const token = agentId.split('/').at(-1) ?? '';
    const logs = site.server.output + site.agent.output;
    const keys = [fileText(folder, 'server/keys.json'), fileText(folder, 'agent/keys.json')].flatMap((text) =>
      Object.values((JSON.parse(text) as { keys: Record<string, string> }).keys),
    );
    expect(keys.length).toBeGreaterThanOrEqual(3);
    for (const key of keys) expect(logs.includes(key.slice(40, 120))).toBe(false);
    expect(logs).not.toContain('PRIVATE KEY');
    // The token is part of the agent's public ID; besides that it must not appear.
    expect(logs.replaceAll(`/join_token/${token}`, '')).not.toContain(token);
  });
});

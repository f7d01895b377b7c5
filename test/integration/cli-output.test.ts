import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Finished, makeSite, run, type Site } from '../support/daemons.ts';
import { scratchFolder } from '../support/scratch.ts';

/*
 * What scripts in the field read: the text and JSON of each command, its exit code, and which stream it uses. The
 * expectations were compared with the reference's own commands against the same kind of server.
 */
const folder = scratchFolder();
let site: Site;
let agentId: string;

beforeAll(async () => {
  site = await makeSite(folder);
  await site.startServer();
  agentId = await site.attestAgent();
}, 60_000);

afterAll(() => site.stop());

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g;

/** Replaces what differs from run to run, after its form was checked by the pattern. */
function stable({ code, out, err }: Finished): Finished {
  const fix = (text: string): string =>
    text
      .replaceAll(agentId, 'AGENT')
      .replaceAll(agentId.replace('spiffe://example.org', ''), '/AGENT')
      .replaceAll(UUID, 'UUID')
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \S+/g, 'TIME')
      .replaceAll(/"(expires_at|created_at|x509svid_expires_at)":"1\d{9}"/g, '"$1":"SECONDS"')
      .replaceAll(/\b\d{30,39}\b/g, 'SERIAL');
  return { code, out: fix(out), err: fix(err) };
}

const server = async (...args: string[]): Promise<Finished> => stable(await site.serverCommand(...args));
const create = (...args: string[]): Promise<Finished> => server('entry', 'create', '-parentID', agentId, ...args);

const WEB = `Entry ID                : web
SPIFFE ID               : spiffe://example.org/web
Parent ID               : AGENT
Revision                : 0
X509-SVID TTL           : 600
JWT-SVID TTL            : 60
Expiration time         : TIME
Selector                : unix:uid:1
Selector                : unix:user:web
DNS name                : a.example.org
DNS name                : b.example.org
Hint                    : inner

`;

describe('entry', () => {
  it('create prints the entry', async () => {
    const flags = [
      '-entryID',
      'web',
      '-spiffeID',
      'spiffe://example.org/web',
      '-x509SVIDTTL',
      '600',
      '-jwtSVIDTTL',
      '60',
    ];
    const more = ['-entryExpiry', '2000000000', '-dns', 'a.example.org', '-dns', 'b.example.org', '-hint', 'inner'];
    const selectors = ['-selector', 'unix:uid:1', '-selector', 'unix:user:web'];
    expect(await create(...flags, ...more, ...selectors)).toEqual({ code: 0, out: WEB, err: '' });
  });

  it('create refuses a similar entry and shows what was asked for', async () => {
    const flags = ['-spiffeID', 'spiffe://example.org/web', '-selector', 'unix:user:web', '-selector', 'unix:uid:1'];
    expect(await create(...flags)).toEqual({
      code: 1,
      out: '',
      err: `Failed to create the following entry (code: AlreadyExists, msg: "similar entry already exists"):
Entry ID                : (none)
SPIFFE ID               : spiffe://example.org/web
Parent ID               : AGENT
Revision                : 0
X509-SVID TTL           : default
JWT-SVID TTL            : default
Selector                : unix:user:web
Selector                : unix:uid:1

Error: failed to create one or more entries
`,
    });
  });

  it('create -node -output json prints one line with every field', async () => {
    const flags = [
      'entry',
      'create',
      '-node',
      '-spiffeID',
      'spiffe://example.org/alias',
      '-selector',
      'x:y',
      '-output',
      'json',
    ];
    expect(await server(...flags)).toEqual({
      code: 0,
      err: '',
      out: `${[
        '{"results":[{"entry":{"admin":false,"created_at":"SECONDS","dns_names":[],"downstream":false,"expires_at":"0"',
        '"federates_with":[],"hint":"","id":"UUID","jwt_svid_ttl":0',
        '"parent_id":{"path":"/spire/server","trust_domain":"example.org"},"revision_number":"0"',
        '"selectors":[{"type":"x","value":"y"}],"spiffe_id":{"path":"/alias","trust_domain":"example.org"}',
        '"store_svid":false,"x509_svid_ttl":0},"status":{"code":0,"message":"OK"}}]}',
      ].join(',')}\n`,
    });
  });

  it('show lists entries in order and finds one by its ID', async () => {
    const all = await server('entry', 'show');
    expect(all.out).toMatch(/^Found 3 entries\nEntry ID/);
    expect(all.out.match(/SPIFFE ID .*/g)).toEqual([
      'SPIFFE ID               : spiffe://example.org/alias',
      'SPIFFE ID               : spiffe://example.org/node',
      'SPIFFE ID               : spiffe://example.org/web',
    ]);
    expect(await server('entry', 'show', '-entryID', 'web')).toEqual({
      code: 0,
      out: `Found 1 entry\n${WEB}`,
      err: '',
    });
    expect(await server('entry', 'show', '-entryID', 'nope')).toEqual({
      code: 1,
      out: '',
      err: 'Error: error fetching entry ID nope: rpc error: code = NotFound desc = entry not found\n',
    });
    expect((await server('entry', 'show', '-spiffeID', 'spiffe://example.org/none')).out).toBe('Found 0 entries\n');
  });

  it.each([
    ['exact', 0],
    ['subset', 0],
    ['superset', 1],
    ['any', 1],
  ])('show filters by selectors, %s', async (match, found) => {
    const { out } = await server('entry', 'show', '-selector', 'unix:uid:1', '-matchSelectorsOn', match);
    expect(out.match(/^Entry ID/gm) ?? []).toHaveLength(found);
  });

  it('count counts in words and in JSON', async () => {
    expect((await server('entry', 'count')).out).toBe('3 registration entries\n');
    expect((await server('entry', 'count', '-hint', 'inner')).out).toBe('1 registration entry\n');
    expect((await server('entry', 'count', '-output', 'json')).out).toBe('{"count":3}\n');
  });

  it('update replaces the whole entry and raises the revision', async () => {
    const flags = [
      '-entryID',
      'web',
      '-parentID',
      agentId,
      '-spiffeID',
      'spiffe://example.org/web',
      '-selector',
      'unix:uid:2',
    ];
    expect(await server('entry', 'update', ...flags)).toEqual({
      code: 0,
      err: '',
      out: `Entry ID                : web
SPIFFE ID               : spiffe://example.org/web
Parent ID               : AGENT
Revision                : 1
X509-SVID TTL           : default
JWT-SVID TTL            : default
Selector                : unix:uid:2

`,
    });
    const unknown = await server('entry', 'update', ...flags.map((one) => (one === 'web' ? 'nope' : one)));
    expect(unknown.code).toBe(1);
    expect(unknown.err).toMatch(
      /^Failed to update the following entry \(code: NotFound, msg: "failed to update entry"\):\n/,
    );
  });

  it('create reads entries from a file', async () => {
    const data = JSON.stringify({
      entries: [
        {
          spiffe_id: 'spiffe://example.org/f1',
          parent_id: agentId,
          selectors: [{ type: 'a', value: 'b' }],
          Hint: 'one',
        },
        { spiffe_id: 'spiffe://example.org/f2', parent_id: agentId, selectors: [], unknown: true },
      ],
    });
    const socket = ['-socketPath', site.serverSocket];
    const result = stable(await run('spire-server', ['entry', 'create', '-data', '-', ...socket], { stdin: data }));
    expect(result.code).toBe(1);
    expect(result.out).toMatch(/SPIFFE ID {15}: spiffe:\/\/example\.org\/f1\n[^]*Hint {20}: one\n/);
    expect(result.err).toContain('(code: InvalidArgument, msg: "failed to convert entry: selector list is empty")');
    const broken = await run('spire-server', ['entry', 'create', '-data', '-', ...socket], {
      stdin: '{"entries": [{"admin": "x"}]}',
    });
    expect(broken.err).toMatch(/^Error: -: entries\[0\]/);
  });

  it('delete tells each ID apart, and leaves the last line open as scripts expect', async () => {
    expect(await server('entry', 'delete', '-entryID', 'web')).toEqual({
      code: 0,
      out: 'Deleted entry with ID: web\n\n\nDeleted 1 entries successfully',
      err: '',
    });
    expect(await server('entry', 'delete', '-entryID', 'web')).toEqual({
      code: 1,
      out: '\n\nFailed to delete 1 entries',
      err: 'Failed to delete entry with ID web (code: NotFound, msg: "entry not found")\nError: failed to delete one or more entries\n',
    });
    expect(await server('entry', 'delete', '-entryID', 'web', '-output', 'json')).toEqual({
      code: 0,
      out: '{"results":[{"id":"web","status":{"code":5,"message":"entry not found"}}]}\n',
      err: '',
    });
  });
});

describe('agent, token, bundle', () => {
  it('agent list, show and count', async () => {
    const block = `SPIFFE ID         : AGENT
Attestation type  : join_token
Expiration time   : TIME
Serial number     : SERIAL
Can re-attest     : false
Agent version     : 1.15.3

`;
    expect((await server('agent', 'list')).out).toBe(`Found 1 attested agent:\n\n${block}`);
    expect((await server('agent', 'show', '-spiffeID', agentId)).out).toBe(
      `Found an attested agent given its SPIFFE ID\n\n${block}`,
    );
    expect((await server('agent', 'count')).out).toBe('1 attested agent\n');
    expect((await server('agent', 'list', '-banned', 'true')).out).toBe('No attested agents found\n');
    expect((await server('agent', 'list', '-output', 'json')).out).toBe(
      `${[
        '{"agents":[{"agent_version":"1.15.3","attestation_type":"join_token","banned":false,"can_reattest":false',
        '"id":{"path":"/AGENT","trust_domain":"example.org"},"selectors":[],"x509svid_expires_at":"SECONDS"',
        '"x509svid_serial_number":"SERIAL"}],"next_page_token":""}',
      ].join(',')}\n`,
    );
    expect((await server('agent', 'show', '-spiffeID', 'spiffe://example.org/spire/agent/nope')).err).toBe(
      'Error: rpc error: code = NotFound desc = agent not found\n',
    );
  });

  it('token generate warns when the agent gets no further ID', async () => {
    expect((await server('token', 'generate')).out).toBe('Token: UUID\nWarning: Missing SPIFFE ID.\n');
    expect((await server('token', 'generate', '-output', 'json')).out).toBe(
      '{"expires_at":"SECONDS","value":"UUID"}\n',
    );
    expect((await server('token', 'generate', '-ttl', '0')).err).toMatch(/ttl is required, you must provide one\n$/);
  });

  it('bundle show prints PEM and the SPIFFE document', async () => {
    expect((await server('bundle', 'show')).out).toMatch(
      /^-----BEGIN CERTIFICATE-----\n[^]+-----END CERTIFICATE-----\n$/,
    );
    const document = JSON.parse((await server('bundle', 'show', '-format', 'spiffe')).out) as {
      keys: { use: string }[];
    };
    expect(document.keys.map(({ use }) => use)).toEqual(['x509-svid', 'jwt-svid']);
    expect((await server('bundle', 'show', '-format', 'x')).err).toBe('Error: invalid format: "x"\n');
    expect((await server('bundle', 'count')).out).toBe('1 bundle\n');
  });
});

describe('mint', () => {
  it('x509 mint prints or writes SVID, key and roots', async () => {
    const printed = await server('x509', 'mint', '-spiffeID', 'spiffe://example.org/mint', '-ttl', '100h');
    expect(printed.out).toMatch(
      /^X509-SVID:\n-----BEGIN CERT[^]+\nPrivate key:\n-----BEGIN PRIVATE KEY[^]+\nRoot CAs:\n-----BEGIN CERT/,
    );
    expect(printed.err).toMatch(/^X509-SVID lifetime was capped shorter than specified ttl; expires "\d{4}-[^"]+Z"\n$/);
    const written = await server(
      'x509',
      'mint',
      '-spiffeID',
      'spiffe://example.org/mint',
      '-dns',
      'a.b',
      '-write',
      folder,
    );
    expect(written.out).toBe(
      `X509-SVID written to ${folder}/svid.pem\nPrivate key written to ${folder}/key.pem\nRoot CAs written to ${folder}/bundle.pem\n`,
    );
    expect(statSync(path.join(folder, 'key.pem')).mode & 0o777).toBe(0o600);
    const foreign = await server('x509', 'mint', '-spiffeID', 'spiffe://other.org/mint');
    expect(foreign.err).toBe(
      'Error: unable to mint SVID: rpc error: code = InvalidArgument desc = CSR URI SAN is invalid: "spiffe://other.org/mint" is not a member of trust domain "example.org"\n',
    );
  });

  it('jwt mint prints or writes the token', async () => {
    const printed = await server(
      'jwt',
      'mint',
      '-spiffeID',
      'spiffe://example.org/mint',
      '-audience',
      'a',
      '-audience',
      'b',
    );
    const [, claims = ''] = printed.out.split('.');
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      aud: ['a', 'b'],
      sub: 'spiffe://example.org/mint',
    });
    const file = path.join(folder, 'token');
    const written = await server(
      'jwt',
      'mint',
      '-spiffeID',
      'spiffe://example.org/mint',
      '-audience',
      'a',
      '-write',
      file,
    );
    expect(written.out).toBe(`JWT-SVID written to ${file}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8').split('.')).toHaveLength(3);
    expect((await server('jwt', 'mint', '-spiffeID', 'spiffe://example.org/mint')).err).toBe(
      'Error: at least one audience must be specified\n',
    );
  });
});

describe('at the end of an agent', () => {
  it('ban keeps it out, evict forgets it', async () => {
    expect((await server('agent', 'ban', '-spiffeID', agentId)).out).toBe('Agent banned successfully\n');
    const list = await server('agent', 'list');
    expect(list.out).toContain('Banned            : true\n');
    expect(list.out).not.toContain('Serial number');
    expect(await site.agent.ended()).toBe(1);
    expect(site.agent.output).toContain('Agent is banned');
    expect((await server('agent', 'evict', '-spiffeID', agentId)).out).toBe('Agent evicted successfully\n');
    expect((await server('agent', 'evict', '-spiffeID', agentId)).err).toBe(
      'Error: rpc error: code = NotFound desc = agent not found\n',
    );
    expect((await server('agent', 'list')).out).toBe('No attested agents found\n');
  }, 60_000);
});

describe('programs', () => {
  it('print their version to standard error', async () => {
    expect(await run('spire-server', ['--version'])).toEqual({ code: 0, out: '', err: '1.15.3\n' });
    expect(await run('spire-agent', ['-version'])).toEqual({ code: 0, out: '', err: '1.15.3\n' });
    expect((await run('finial', ['--version'])).err).toMatch(
      /^finial \d+\.\d+\.\d+ \(compatible with SPIRE 1\.15\.3\)\n$/,
    );
  });

  it('finial has the commands of both', async () => {
    const { out } = await run('finial', ['server', 'healthcheck', '-socketPath', site.serverSocket]);
    expect(out).toBe('Server is healthy.\n');
    expect((await run('finial', ['agent', 'healthcheck', '-socketPath', '/nonexistent'])).err).toBe(
      'Agent is unhealthy: unable to determine health\n',
    );
  });
});

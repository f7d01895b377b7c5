import { createPrivateKey, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, makeSite, run, type Site } from '../support/daemons.ts';
import { scratchFolder } from '../support/scratch.ts';

// A log travels further than the host that wrote it, and what is in it cannot be taken back. Here everything is done
// that handles a secret, at the most talkative settings, and each secret is then looked for in every form it could have.

const folder = scratchFolder();
const uid = String(process.geteuid?.() ?? 0);
const at = (...parts: string[]): string => path.join(folder, ...parts);

/** What must not be found, by what it is. */
const secrets = new Map<string, string>();
let site: Site;

/** The forms in which the same bytes could be written. */
function addBytes(what: string, bytes: Buffer): void {
  for (const encoding of ['base64', 'base64url', 'hex'] as const)
    secrets.set(`${what}, ${encoding}`, bytes.toString(encoding));
}

/** The secret numbers of a private key, and its PEM text line by line. */
function addKey(what: string, pem: string): void {
  const jwk = createPrivateKey(pem).export({ format: 'jwk' });
  for (const name of ['d', 'p', 'q'] as const) {
    if (jwk[name] !== undefined) addBytes(`${what}, ${name}`, Buffer.from(jwk[name], 'base64url'));
  }
  const lines = pem.split('\n').filter((line) => line !== '' && !line.startsWith('-----'));
  for (const [index, line] of lines.entries()) {
    // The first line is the algorithm, which every key of its kind begins with.
    if (index > 0 && line.length >= 16) secrets.set(`${what}, line ${index}`, line);
  }
}

function addToken(what: string, token: string): void {
  expect(token.split('.')).toHaveLength(3);
  secrets.set(`${what}, claims`, token.split('.')[1] ?? '');
  secrets.set(`${what}, signature`, token.split('.')[2] ?? '');
}

/** A key manager's file: base64 of PKCS#8 or SEC 1 by key ID. */
function addKeyFile(what: string, file: string): void {
  const { keys } = JSON.parse(readFileSync(file, 'utf8')) as { readonly keys: Readonly<Record<string, string>> };
  expect(Object.keys(keys).length).toBeGreaterThan(0);
  for (const [id, key] of Object.entries(keys)) {
    addKey(
      `${what} ${id}`,
      `-----BEGIN PRIVATE KEY-----\n${key.replace(/(.{64})/g, '$1\n')}\n-----END PRIVATE KEY-----\n`,
    );
  }
}

async function createEntry(...args: string[]): Promise<void> {
  const created = await site.serverCommand('entry', 'create', ...args);
  expect(created).toMatchObject({ code: 0, err: '' });
}

const logs = (): string => `${site.server.output}\n${site.agent.output}`;

beforeAll(async () => {
  site = await makeSite(folder, {
    server: 'audit_log_enabled = true',
    agent: 'log_selectors = ["unix:uid"]',
  });
  for (const name of ['server.conf', 'agent.conf']) {
    const config = readFileSync(at(name), 'utf8');
    const talkative = config
      .replace('"DEBUG"', '"TRACE"')
      .replace('connection_string =', 'log_sql = true connection_string =');
    expect(talkative).not.toBe(config);
    writeFileSync(at(name), talkative);
  }
  await site.startServer();
}, 60_000);

afterAll(() => site.stop());

describe('no secret reaches a log', () => {
  it('when a join token is made and not yet used, or is presented and wrong', async () => {
    const { out } = await site.serverCommand('token', 'generate', '-spiffeID', 'spiffe://example.org/later');
    secrets.set('an unused join token', /Token: (\S+)/.exec(out)?.[1] ?? '');
    const wrong = randomUUID();
    secrets.set('a wrong join token', wrong);
    const bundle = await site.serverCommand('bundle', 'show');
    writeFileSync(at('bundle.pem'), bundle.out);
    site.agent.start(['-joinToken', wrong]);
    await eventually('a refusal', () => {
      expect(site.server.output).toMatch(/join token does not exist or has already been used/);
    });
    await site.agent.stop('SIGKILL');
    expect(secrets.get('an unused join token')).toMatch(/^[0-9a-f-]{36}$/);
  }, 30_000);

  it('when an agent attests, entries are made and SVIDs fetched, minted and judged', async () => {
    const agentId = await site.attestAgent();
    const hidden = `unix:path:${process.execPath}`;
    secrets.set('a selector', hidden);
    secrets.set('the value of a selector', `path:${process.execPath}`);
    const forUs = ['-selector', `unix:uid:${uid}`];
    await createEntry('-parentID', agentId, '-spiffeID', 'spiffe://example.org/web', ...forUs, '-selector', hidden);
    await createEntry(
      '-parentID',
      agentId,
      '-spiffeID',
      'spiffe://example.org/other',
      ...forUs,
      '-selector',
      'unix:sha256:77',
    );
    secrets.set('a selector that nobody has', 'unix:sha256:77');

    await eventually('an identity', async () => {
      const fetched = await site.agentCommand('api', 'fetch', 'x509', '-write', folder, '-silent');
      expect(fetched).toMatchObject({ code: 0 });
    });
    addKey('key of the workload', readFileSync(at('svid.0.key'), 'utf8'));
    const jwt = await site.agentCommand('api', 'fetch', 'jwt', '-audience', 'me');
    const token = /\t(\S+\.\S+\.\S+)\n/.exec(jwt.out)?.[1] ?? '';
    addToken('JWT-SVID', token);
    for (const presented of [token, `${token}x`, token.replace('.', '..'), token.slice(0, -20)]) {
      await site.agentCommand('api', 'validate', 'jwt', '-audience', 'someone-else', '-svid', presented);
    }

    const minted = await site.serverCommand('x509', 'mint', '-spiffeID', 'spiffe://example.org/minted');
    addKey('minted key', /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----\n/.exec(minted.out)?.[0] ?? '');
    const mintedJwt = await site.serverCommand(
      'jwt',
      'mint',
      '-spiffeID',
      'spiffe://example.org/minted',
      '-audience',
      'a',
    );
    addToken('minted JWT-SVID', mintedJwt.out.trim());
  }, 60_000);

  it('when they restart on the keys that they keep', async () => {
    await site.agent.stop();
    await site.server.stop();
    await site.startServer();
    await site.restartAgent();
    addKeyFile('key of the server', at('server', 'keys.json'));
    addKeyFile('key of the agent', at('agent', 'keys.json'));
  }, 60_000);

  it('when the configuration is wrong right beside a secret', async () => {
    const broken = at('broken.conf');
    const secret = `pass-${randomUUID()}`;
    secrets.set('a secret of the configuration', secret);
    const config = readFileSync(at('server.conf'), 'utf8');
    writeFileSync(broken, config.replace(/connection_string = "[^"]*"/, `connection_strin = "${secret}"`));
    for (const command of ['validate', 'run']) {
      const finished = await run('spire-server', [command, '-config', broken]);
      expect(finished.code).not.toBe(0);
      expect(`${finished.out}${finished.err}`).toContain('connection_strin');
      expect(`${finished.out}${finished.err}`).not.toContain(secret);
    }
  }, 30_000);

  it('at the most talkative level, in any form', () => {
    const text = logs();
    // The log is really there, and says what it may.
    for (const line of [
      'level=debug',
      'insert into',
      'type=audit',
      'AttestAgent',
      'BatchNewX509SVID',
      'MintJWTSVID',
      'ValidateJWTSVID',
      'unix:uid:',
    ]) {
      expect(text).toContain(line);
    }
    expect(secrets.size).toBeGreaterThan(30);
    expect([...secrets].filter(([, secret]) => secret.length <= 8)).toEqual([]);
    expect([...secrets].filter(([, secret]) => text.includes(secret)).map(([what]) => what)).toEqual([]);
  });

  it('and would be found', () => {
    const [what, secret] = [...secrets][0] ?? ['', ''];
    expect([what, `${logs()}${secret}`.includes(secret)]).toEqual(['an unused join token', true]);
  });
});

import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openConnection } from '../../../plugins/datastore/sql/sqlite/connection.ts';
import { authoritiesOf, eventually, makeSite, run, type Site } from '../../support/daemons.ts';
import { scratchFolder } from '../../support/scratch.ts';
import { isRoot, readOnly } from './unwritable.ts';

const folder = scratchFolder();
const home = path.join(folder, 'home');
const kept = path.join(folder, 'kept');
const inServer = (name: string): string => path.join(home, 'server', name);
let site: Site;
let other: Site;
/** The authorities that the site began with. */
let own: ReturnType<typeof authoritiesOf>;
/** What another server's database had not taken up yet from its log. */
let foreignLog: Buffer;

const NOBODY = 65_534;
if (!isRoot) console.warn('test of files of another owner skipped: only root can start a server as someone else');

const bundleOf = async (of: Site): Promise<ReturnType<typeof authoritiesOf>> =>
  authoritiesOf((await of.serverCommand('bundle', 'show', '-output', 'json')).out);

beforeAll(async () => {
  for (const name of ['home', 'other']) mkdirSync(path.join(folder, name));
  site = await makeSite(home);
  other = await makeSite(path.join(folder, 'other'));
  await Promise.all([site.startServer(), other.startServer()]);
  await Promise.all([site.attestAgent(), other.attestAgent()]);
  own = await bundleOf(site);
  foreignLog = readFileSync(path.join(folder, 'other', 'server', 'datastore.sqlite3-wal'));
  expect(foreignLog.length).toBeGreaterThan(0);
  for (const one of [site, other]) {
    await one.agent.stop();
    await one.server.stop();
  }
  cpSync(home, kept, { recursive: true, filter: (file) => !file.endsWith('.sock') });
});
afterEach(async () => {
  await site.stop();
  restore();
});
afterAll(async () => {
  await site.stop();
  await other.stop();
});

function restore(): void {
  for (const name of ['server', 'agent']) {
    rmSync(path.join(home, name), { recursive: true });
    cpSync(path.join(kept, name), path.join(home, name), { recursive: true });
  }
}

/** Starts the daemon on what is there, as `uid` if one is given, expects it to give up, and gives what it said. */
async function refused(program: 'spire-server' | 'spire-agent', uid?: number): Promise<string> {
  const conf = path.join(home, program === 'spire-server' ? 'server.conf' : 'agent.conf');
  const { code, out, err } = await run(program, ['run', '-config', conf], uid === undefined ? {} : { uid });
  expect({ code, said: out + err }).toMatchObject({ code: 1 });
  return out + err;
}

/** Starts the server on what is there, and gives what it said and the authorities it has. */
async function started(): Promise<{ said: string; x509: string[] }> {
  const before = site.server.output.length;
  await site.startServer();
  const { x509 } = await bundleOf(site);
  await site.server.stop();
  return { said: site.server.output.slice(before), x509 };
}

/** What is said of keys that no journal names. */
const strangeness =
  /level=error msg="The KeyManager has keys but no CA journal of the datastore names them: keys or datastore are not those used before\. New authorities are made".* keys_copied_to=(\S+keys\.json\.\S+\.bak) keys_path=\S+keys\.json /;

describe("another server's", () => {
  it('keys are not taken for the own, and that is told', async () => {
    cpSync(path.join(folder, 'other', 'server', 'keys.json'), inServer('keys.json'));
    const { said, x509 } = await started();
    expect(said).toMatch(strangeness);
    expect(said).toMatch(/authorities_without_key=2 /);
    // They may be the only ones that the other server has.
    const copy = strangeness.exec(said)?.[1] ?? '';
    expect(readFileSync(copy).equals(readFileSync(path.join(folder, 'other', 'server', 'keys.json')))).toBe(true);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    // Agents go on trusting the old root; the new one is added to it.
    expect(x509).toEqual(expect.arrayContaining(own.x509));
    expect(x509).toHaveLength(own.x509.length + 1);
  });

  it('database is not taken for the own, and that is told', async () => {
    cpSync(path.join(folder, 'other', 'server', 'datastore.sqlite3'), inServer('datastore.sqlite3'));
    expect((await started()).said).toMatch(strangeness);
  });

  it('database of another trust domain is refused, naming both, and left as it is', async () => {
    const database = openConnection(inServer('datastore.sqlite3'), { busyTimeoutMs: 1000 });
    database.exec("UPDATE registered_entries SET spiffe_id = 'spiffe://elsewhere.test/node'");
    database.close();
    const before = readFileSync(inServer('keys.json'));
    expect(await refused('spire-server')).toMatch(/'elsewhere\.test'.*'example\.org'/);
    expect(readFileSync(inServer('keys.json')).equals(before)).toBe(true);
  });

  it('write-ahead log, which SQLite cannot tell from the own, is not taken up in silence', async () => {
    writeFileSync(inServer('datastore.sqlite3-wal'), foreignLog);
    const { said } = await started();
    expect(said).toMatch(strangeness);
  });
});

describe('a key that is not the one of the journal', () => {
  it.each(['missing', 'another'])('and %s is told by name, and one authority is made in its place', async (what) => {
    const file = inServer('keys.json');
    const document = JSON.parse(readFileSync(file, 'utf8')) as { keys: Record<string, string> };
    if (what === 'missing') delete document.keys['JWT-Signer-A'];
    else document.keys['JWT-Signer-A'] = document.keys['x509-CA-A'] ?? '';
    writeFileSync(file, JSON.stringify(document));
    const before = readFileSync(file);
    const { said, x509 } = await started();
    const line = said.split('\n').find((one) => one.includes('msg="JWT key slot unusable"')) ?? '';
    expect(line).toContain('level=error');
    expect(line).toContain(`keys_path=${file}`);
    expect(line).toContain('action="a new authority is made"');
    const copies = readdirSync(path.join(home, 'server')).filter((name) => name.endsWith('.bak'));
    expect(copies.map((name) => readFileSync(inServer(name)).equals(before))).toEqual(what === 'missing' ? [] : [true]);
    expect(x509).toEqual(own.x509);
  });
});

describe('a database', () => {
  it('of no length is begun anew by name, and that it was in use is told', async () => {
    truncateSync(inServer('datastore.sqlite3'), 0);
    const { said } = await started();
    expect(said).toMatch(/level=warning msg="Database file is empty.*datastore\.sqlite3/);
    expect(said).toMatch(strangeness);
  });

  it('with rubbish in place of its log is whole', async () => {
    writeFileSync(inServer('datastore.sqlite3-wal'), 'x'.repeat(9000));
    expect((await started()).x509).toEqual(own.x509);
  });

  it('whose CA journal is damaged stops the server, and keys stay', async () => {
    const database = openConnection(inServer('datastore.sqlite3'), { busyTimeoutMs: 1000 });
    database.exec("UPDATE ca_journals SET data = x'0affff'");
    database.close();
    const before = readFileSync(inServer('keys.json'));
    expect(await refused('spire-server')).toContain(
      'unable to read CA journal record 1 (table ca_journals of the datastore)',
    );
    expect(readFileSync(inServer('keys.json')).equals(before)).toBe(true);
  });

  it('that stays locked stops a start by name, fails writes of a running server, and both recover', async () => {
    await other.startServer();
    const files = [inServer('datastore.sqlite3'), path.join(folder, 'other', 'server', 'datastore.sqlite3')];
    const locks = files.map((file) => openConnection(file, { busyTimeoutMs: 5000 }));
    for (const lock of locks) lock.exec('BEGIN EXCLUSIVE');
    try {
      const [said, token] = await Promise.all([refused('spire-server'), other.serverCommand('token', 'generate')]);
      expect(said).toContain(`database \\"${files[0]}\\" is locked by another process`);
      expect(token.code).toBe(1);
      expect(token.err).toContain('is locked by another process');
      expect((await other.serverCommand('entry', 'count')).code).toBe(0);
    } finally {
      for (const lock of locks) lock.close();
    }
    expect((await other.serverCommand('token', 'generate')).code).toBe(0);
    expect((await started()).x509).toEqual(own.x509);
    await other.server.stop();
  });
});

describe('agent files that do not belong together', () => {
  it.each(['agent-data.json', 'keys.json'])('%s: a new key is made, but not in silence', async (name) => {
    cpSync(path.join(folder, 'other', 'agent', name), path.join(home, 'agent', name));
    const before = site.agent.output.length;
    site.agent.start();
    await eventually('a warning', () =>
      expect(site.agent.output.slice(before)).toMatch(
        new RegExp(
          `level=warning msg="Private key not recovered.*agent_data=${path.join(home, 'agent', 'agent-data.json')}`,
        ),
      ),
    );
    const copyOf = (one: string): Buffer[] =>
      readdirSync(path.join(home, 'agent'))
        .filter((entry) => entry.startsWith(`${one}.`) && entry.endsWith('.bak'))
        .map((entry) => readFileSync(path.join(home, 'agent', entry)));
    for (const one of ['agent-data.json', 'keys.json']) {
      const from = path.join(one === name ? path.join(folder, 'other') : kept, 'agent', one);
      expect(copyOf(one).map((copy) => copy.equals(readFileSync(from)))).toEqual([true]);
    }
    await site.agent.stop();
  });
});

describe('a data directory that cannot be written', () => {
  for (const [program, name] of [
    ['spire-server', 'server'],
    ['spire-agent', 'agent'],
  ] as const) {
    it(`stops a ${program} by name, and nothing is lost`, async ({ skip }) => {
      const place = path.join(home, name);
      const writable = readOnly(place);
      if (writable === undefined) return skip('this user cannot make a folder read-only');
      try {
        expect(await refused(program)).toContain(`${place}/`);
      } finally {
        writable();
      }
      if (name === 'server') expect((await started()).x509).toEqual(own.x509);
    });
  }
});

describe('files of another owner', () => {
  it.skipIf(!isRoot)('stop the server by name, each of them', async () => {
    expect(await refused('spire-server', NOBODY)).toContain(inServer('datastore.sqlite3'));
    chmodSync(path.join(home, 'server'), 0o777);
    for (const name of readdirSync(path.join(home, 'server')))
      if (name !== 'keys.json') chmodSync(inServer(name), 0o666);
    const before = readFileSync(inServer('keys.json'));
    expect(await refused('spire-server', NOBODY)).toContain(`keys file ${inServer('keys.json')}`);
    expect(readFileSync(inServer('keys.json')).equals(before)).toBe(true);
  });
});

describe('the socket of a running server', () => {
  it('is not taken by another server, and its loss ends with a restart', async () => {
    await site.startServer();
    const conf = path.join(folder, 'other', 'server.conf');
    const { code, out } = await run('spire-server', ['run', '-config', conf, '-socketPath', site.serverSocket]);
    expect(code).toBe(1);
    expect(out).toContain(`cannot listen on ${site.serverSocket}: another process is serving it`);
    expect((await site.serverCommand('healthcheck')).code).toBe(0);

    rmSync(site.serverSocket);
    const { err } = await site.serverCommand('entry', 'count');
    expect(err).toContain(site.serverSocket);
    expect(site.server.running).toBe(true);
    await site.server.stop();
    expect((await started()).x509).toEqual(own.x509);
  });
});

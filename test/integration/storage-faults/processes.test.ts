import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openConnection } from '../../../plugins/datastore/sql/sqlite/connection.ts';
import { authoritiesOf, Daemon, eventually, makeSite, type Site } from '../../support/daemons.ts';
import { scratchFolder } from '../../support/scratch.ts';

const folder = scratchFolder();
const inServer = (name: string): string => path.join(folder, 'server', name);
const inAgent = (name: string): string => path.join(folder, 'agent', name);
let site: Site;

beforeAll(async () => {
  site = await makeSite(folder);
  await site.startServer();
  await site.attestAgent();
});
afterAll(() => site.stop());

/** The content of every file of a folder, but for what SQLite rebuilds by itself. */
function contents(name: string): Record<string, string> {
  const files = readdirSync(path.join(folder, name)).filter((file) => !file.endsWith('-shm'));
  return Object.fromEntries(files.map((file) => [file, readFileSync(path.join(folder, name, file), 'hex')]));
}

/** Starts the daemon on what is there, expects it to give up, and gives what it said. */
async function refused(program: 'spire-server' | 'spire-agent'): Promise<string> {
  const conf = program === 'spire-server' ? 'server.conf' : 'agent.conf';
  const daemon = new Daemon(program, ['run', '-config', path.join(folder, conf)]);
  daemon.start();
  try {
    await eventually('the end of the daemon', () => expect(daemon.running).toBe(false));
    expect(await daemon.ended()).toBe(1);
  } finally {
    await daemon.stop('SIGKILL');
  }
  return daemon.output;
}

function ofTheFuture(file: string): void {
  const database = openConnection(file, { busyTimeoutMs: 0 });
  database.exec("UPDATE migrations SET version = 99, code_version = '9.0.0'");
  database.close();
}

describe('a second process on the same files', () => {
  it('is refused by the keys file, and the first one goes on', async () => {
    const before = readFileSync(inServer('keys.json'));
    expect(await refused('spire-server')).toContain(`keys file ${inServer('keys.json')} is in use by another process`);
    expect(readFileSync(inServer('keys.json')).equals(before)).toBe(true);
    expect((await site.serverCommand('healthcheck')).code).toBe(0);
  });

  it('is refused by the keys file of an agent as well', async () => {
    const before = contents('agent');
    expect(await refused('spire-agent')).toContain(`keys file ${inAgent('keys.json')} is in use by another process`);
    expect(contents('agent')).toEqual(before);
    expect((await site.agentCommand('healthcheck')).code).toBe(0);
  });

  it('starts after the first was killed without warning', async () => {
    const authorities = authoritiesOf((await site.serverCommand('bundle', 'show', '-output', 'json')).out);
    await site.server.stop('SIGKILL');
    await site.startServer();
    expect(authoritiesOf((await site.serverCommand('bundle', 'show', '-output', 'json')).out)).toEqual(authorities);
    await site.agent.stop('SIGKILL');
    await site.restartAgent();
  });
});

describe('a database that another process has locked', () => {
  it('holds up writes alone, until the lock is gone', async () => {
    const other = openConnection(inServer('datastore.sqlite3'), { busyTimeoutMs: 5000 });
    other.exec('BEGIN EXCLUSIVE');
    let done = false;
    const token = site.serverCommand('token', 'generate').finally(() => {
      done = true;
    });
    expect((await site.serverCommand('healthcheck')).code).toBe(0);
    expect((await site.serverCommand('entry', 'count')).code).toBe(0);
    expect(done).toBe(false);
    other.exec('COMMIT');
    other.close();
    expect((await token).code).toBe(0);
  });
});

describe('damaged files', () => {
  beforeAll(async () => {
    await site.agent.stop();
    await site.server.stop();
  });

  /** Each: the file, and what is done to it. */
  const damages: readonly (readonly [string, 'spire-server' | 'spire-agent', string, (file: string) => void])[] = [
    ['truncated keys', 'spire-server', 'keys.json', (file) => truncateSync(file, 100)],
    ['empty keys', 'spire-server', 'keys.json', (file) => truncateSync(file, 0)],
    ['a torn database', 'spire-server', 'datastore.sqlite3', (file) => truncateSync(file, 5000)],
    ['another kind of file', 'spire-server', 'datastore.sqlite3', (file) => writeFileSync(file, 'x'.repeat(9000))],
    ['a database of the future', 'spire-server', 'datastore.sqlite3', ofTheFuture],
    ['truncated agent keys', 'spire-agent', 'keys.json', (file) => truncateSync(file, 60)],
    ['truncated agent data', 'spire-agent', 'agent-data.json', (file) => truncateSync(file, 200)],
  ];
  it.each(damages)('%s stop the %s by name, and nothing is changed', async (_what, program, name, damage) => {
    const place = program === 'spire-server' ? 'server' : 'agent';
    const file = path.join(folder, place, name);
    const whole = readFileSync(file);
    damage(file);
    const before = contents(place);
    const output = await refused(program);
    expect(output).toContain(file);
    expect(contents(place)).toEqual(before);
    writeFileSync(file, whole);
  });

  it('lost keys are replaced, as in the reference, but not in silence', async () => {
    const keys = readFileSync(inServer('keys.json'));
    rmSync(inServer('keys.json'));
    await site.startServer();
    expect(site.server.output).toMatch(/level=info msg="Keys file holds no keys.*keys\.json/);
    expect(site.server.output).toMatch(
      /level=error msg="The datastore has CA journals but the KeyManager has no keys.*authorities_without_key=2 .*keys_path=\S+keys\.json /,
    );
    await site.server.stop();
    writeFileSync(inServer('keys.json'), keys);
    await site.startServer();
    await site.server.stop();
  });

  it('a data directory that is a file is named', async () => {
    const other = path.join(folder, 'blocked');
    mkdirSync(other);
    const blocked = await makeSite(other);
    rmSync(path.join(other, 'server'), { recursive: true });
    writeFileSync(path.join(other, 'server'), '');
    blocked.server.start();
    await eventually('the end of the server', () => expect(blocked.server.running).toBe(false));
    expect(await blocked.server.ended()).toBe(1);
    expect(blocked.server.output).toContain(`data directory ${path.join(other, 'server')}`);
    expect(existsSync(blocked.serverSocket)).toBe(false);
  });
});

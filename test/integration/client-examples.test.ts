import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually, freePort, makeSite, type Site, TRUST_DOMAIN } from '../support/daemons.ts';
import { postgresPrograms, startPostgres } from '../support/postgres.ts';
import { scratchFolder } from '../support/scratch.ts';

// The examples of docs/client.md, run as they stand there: real programs, server and agent.

const root = path.resolve(import.meta.dirname, '../..');
const folder = scratchFolder();
let site: Site;
let agentId: string;

const idOf = (name: string): string => `spiffe://${TRUST_DOMAIN}/${name}`;

/** This Node under another name: the path of a program tells workloads apart. */
function programOf(name: string): string {
  const file = path.join(folder, 'programs', name);
  try {
    linkSync(process.execPath, file);
  } catch (error) {
    // A second entry uses the program of the first. A link needs the same file system, and a file of one's own.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') copyFileSync(process.execPath, file);
  }
  return file;
}

async function register(name: string, ...more: string[]): Promise<void> {
  const entry = ['-parentID', agentId, '-spiffeID', idOf(name), '-selector', `unix:path:${programOf(name)}`];
  expect(await site.serverCommand('entry', 'create', ...entry, ...more)).toMatchObject({ code: 0 });
}

interface Example {
  readonly child: ChildProcess;
  /** What it printed so far. */
  readonly out: () => string;
  /** Resolves to its exit code. */
  readonly ended: Promise<number | null>;
}

const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

/** Runs an example as the workload of this name. */
function start(name: string, example: string, ...args: string[]): Example {
  const script = path.join(root, 'dist/deploy/examples/client', `${example}.js`);
  const child = spawn(programOf(name), [script, ...args], {
    env: { ...process.env, SPIFFE_ENDPOINT_SOCKET: `unix://${site.agentSocket}` },
  });
  running.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (text += String(part)));
  return { child, out: () => text, ended: once(child, 'close').then(([code]) => code as number | null) };
}

async function finished(example: Example): Promise<string> {
  const code = await example.ended;
  expect({ code, out: example.out() }).toMatchObject({ code: 0 });
  return example.out();
}

const says = (example: Example, text: string): Promise<void> =>
  eventually(`"${text}"`, () => {
    if (example.child.exitCode !== null) expect.fail(`it ended: ${example.out()}`);
    expect(example.out()).toContain(text);
  });

beforeAll(async () => {
  mkdirSync(path.join(folder, 'programs'));
  site = await makeSite(folder);
  await site.startServer();
  agentId = await site.attestAgent();
  await register('server', '-x509SVIDTTL', '20');
  await register('client', '-x509SVIDTTL', '20', '-dns', 'reporter');
}, 60_000);
afterAll(() => site.stop());

describe('the examples of the client library', () => {
  it('mutual TLS: names the caller, and refuses another', async () => {
    const port = String(await freePort());
    const server = start('server', 'mtls-server', idOf('client'), port);
    await says(server, `${idOf('server')} is listening`);
    const url = `https://localhost:${port}/`;
    expect(await finished(start('client', 'mtls-client', url, idOf('server')))).toBe(`hello ${idOf('client')}\n`);
    const wary = start('client', 'mtls-client', url, idOf('other'));
    expect(await wary.ended).not.toBe(0);
    expect(wary.out()).toContain(`peer ${idOf('server')} is not authorized`);
    const intruder = start('server', 'mtls-client', url, idOf('server'));
    expect(await intruder.ended).not.toBe(0);
    expect(intruder.out()).not.toContain('hello');
  }, 60_000);

  it('a fetch with a JWT-SVID: is greeted, and is refused with a token for somebody else', async () => {
    const port = String(await freePort());
    const server = start('server', 'jwt-server', 'shop', TRUST_DOMAIN, port);
    await says(server, 'listening');
    const url = `http://127.0.0.1:${port}/`;
    expect(await finished(start('client', 'jwt-client', url, 'shop'))).toBe(`200 hello ${idOf('client')}\n`);
    expect(await finished(start('client', 'jwt-client', url, 'bank'))).toBe('401 unauthorized\n');
    expect(server.out()).toContain('refused: ');
  }, 60_000);

  it('gRPC: one stream through the rotations of both sides', async () => {
    const port = String(await freePort());
    const server = start('server', 'grpc-server', idOf('client'), port);
    await says(server, 'listening');
    const client = start('client', 'grpc-client', `127.0.0.1:${port}`, idOf('server'));
    expect(await finished(client)).toBe(`hello ${idOf('client')}\nstill greeted after a rotation: true\n`);
    expect(server.out()).not.toContain('Error');
  }, 60_000);

  const programs = postgresPrograms();
  if (programs === undefined) console.warn('one test skipped: PostgreSQL is not installed');
  it.skipIf(programs === undefined)(
    'PostgreSQL: logs in by X509-SVID',
    async () => {
      const minted = path.join(folder, 'minted');
      mkdirSync(minted);
      const mint = await site.serverCommand('x509', 'mint', '-spiffeID', idOf('postgres'), '-write', minted);
      expect(mint).toMatchObject({ code: 0 });
      const pem = (name: string): string => readFileSync(path.join(minted, name), 'utf8');
      const postgres = await startPostgres(programs ?? '', folder, {
        certificate: pem('svid.pem'),
        key: pem('key.pem'),
        clientAuthorities: pem('bundle.pem'),
        setup: 'CREATE ROLE reporter LOGIN;',
      });
      try {
        const args = [String(postgres.port), 'reporter', idOf('postgres')];
        expect(await finished(start('client', 'postgresql', ...args))).toBe('logged in as reporter\n');
        const stranger = start('server', 'postgresql', ...args);
        expect(await stranger.ended).not.toBe(0);
        expect(stranger.out()).toContain('certificate authentication failed for user "reporter"');
      } finally {
        await postgres.stop();
      }
    },
    60_000,
  );
});

describe('docs/client.md', () => {
  it('shows every example as it is', () => {
    const text = readFileSync(path.join(root, 'docs/client.md'), 'utf8');
    const examples = path.join(root, 'deploy/examples/client');
    for (const name of readdirSync(examples)) {
      const code = readFileSync(path.join(examples, name), 'utf8').trim();
      expect(text.includes(code), `docs/client.md does not show ${name} as it is`).toBe(true);
    }
  });
});

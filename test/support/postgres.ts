import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { eventually, freePort } from './daemons.ts';

/** A PostgreSQL server of a test, with files of its own. */
export interface PostgresServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** How clients get in. */
export interface PostgresOptions {
  /** PEM files; PostgreSQL reads them as the user that it runs as. */
  readonly certificate: string;
  readonly key: string;
  readonly clientAuthorities: string;
  /** SQL that the superuser runs before anybody else gets in. */
  readonly setup: string;
}

/** PostgreSQL refuses to run as root; tests as root give it the user `nobody`. */
const NOBODY = 65_534;

/** The folder of PostgreSQL's programs: that of the PATH, else Debian's. */
export function postgresPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const folders = [
    ...(process.env['PATH'] ?? '').split(':'),
    ...(existsSync(debian) ? readdirSync(debian).map((version) => path.join(debian, version, 'bin')) : []),
  ];
  return folders.find((folder) => ['initdb', 'postgres', 'psql'].every((name) => existsSync(path.join(folder, name))));
}

/**
 * Starts a server that takes nobody without a certificate from one of the given authorities; the certificate's common
 * name is the database user.
 */
export async function startPostgres(
  programs: string,
  folder: string,
  options: PostgresOptions,
): Promise<PostgresServer> {
  const asUser = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const data = path.join(folder, 'postgres');
  mkdirSync(data, { mode: 0o700 });
  if ('uid' in asUser) chownSync(data, NOBODY, NOBODY);
  const runProgram = (name: string, args: readonly string[], input = ''): void => {
    const { status, stderr, error } = spawnSync(path.join(programs, name), args, {
      ...asUser,
      input,
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C', HOME: data },
    });
    if (error) throw error;
    if (status !== 0) throw new Error(`${name} failed: ${stderr}`);
  };
  runProgram('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync']);
  for (const [name, pem] of Object.entries({
    'server.crt': options.certificate,
    'server.key': options.key,
    'root.crt': options.clientAuthorities,
  })) {
    const file = path.join(data, name);
    writeFileSync(file, pem, { mode: 0o600 });
    chmodSync(file, 0o600);
    if ('uid' in asUser) chownSync(file, NOBODY, NOBODY);
  }
  writeFileSync(path.join(data, 'pg_hba.conf'), 'local all postgres trust\nhostssl all all 127.0.0.1/32 cert\n');
  const port = await freePort();
  const settings = {
    ...{ port: String(port), listen_addresses: '127.0.0.1', unix_socket_directories: data, fsync: 'off' },
    ...{ ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key', ssl_ca_file: 'root.crt' },
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(path.join(programs, 'postgres'), ['-D', data, ...args], {
    ...asUser,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (part) => {
    log += String(part);
  });
  try {
    await eventually('PostgreSQL', () =>
      runProgram(
        'psql',
        ['-h', data, '-p', String(port), '-U', 'postgres', '-v', 'ON_ERROR_STOP=1', '-q'],
        options.setup,
      ),
    );
  } catch (error) {
    await end(child);
    throw new Error(`${String(error)}\n${log}`, { cause: error });
  }
  return { port, stop: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  // Immediate shutdown: the data is thrown away.
  child.kill('SIGQUIT');
  await once(child, 'exit');
}

import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../../common/errors.ts';
import { decodeBundle } from '../../plugins/datastore/sql/bundle-codec.ts';
import { openConnection, pragma } from '../../plugins/datastore/sql/sqlite/connection.ts';
import { readKeyFile } from '../../plugins/key-manager/disk/key-file.ts';
import { decodeJournal } from '../../server/ca/journal/codec.ts';
import type { JournalEntries } from '../../server/ca/journal/record.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';

/** What a server has on disk at one moment. */
export interface ServerFiles {
  /** Unix milliseconds. */
  readonly at: number;
  readonly bundle: Bundle | undefined;
  /** More than one row of one server would be a doubled journal. */
  readonly journals: readonly JournalEntries[];
  /** DER of the public keys, by name. */
  readonly keys: ReadonlyMap<string, Buffer>;
  /** Serial number that the server holds of each attested agent: current and, if renewed, the next one. */
  readonly nodes: ReadonlyMap<string, { readonly serial: string; readonly nextSerial: string }>;
  /** What is wrong with the files themselves. */
  readonly findings: readonly string[];
}

const DATABASE = 'datastore.sqlite3';

/**
 * Reads copies of a server's files, so that nothing but the server itself repairs them after a crash.
 *
 * @param folder its data_dir, with `datastore.sqlite3` and `keys.json`
 * @param running whether somebody may write meanwhile: SQLite then makes the copy
 */
export async function readServerFiles(folder: string, running: boolean): Promise<ServerFiles> {
  const copies = mkdtempSync(path.join(folder, 'copy-'));
  try {
    const copy = copyDatabase(folder, copies, running);
    const connection = openConnection(copy, { busyTimeoutMs: 5000 });
    try {
      const integrity = String(pragma(connection, 'integrity_check'));
      const bundles = connection.prepare('SELECT data FROM bundles').all();
      const journals = connection.prepare('SELECT data FROM ca_journals').all();
      const nodes = connection.prepare('SELECT * FROM attested_node_entries').all();
      const keys = await readKeyFile(path.join(folder, 'keys.json'));
      const [bundle] = bundles.map(({ data }) => decodeBundle(data as Buffer));
      return {
        at: Date.now(),
        bundle,
        journals: journals.map(({ data }) => decodeJournal(data as Buffer)),
        keys: new Map([...keys].map(([name, key]) => [name, key.publicKey])),
        nodes: new Map(
          nodes.map((row) => [
            String(row['spiffe_id']),
            { serial: String(row['serial_number']), nextSerial: textOf(row['new_serial_number']) },
          ]),
        ),
        findings: [
          ...(integrity === 'ok' ? [] : [`the database is damaged: ${integrity}`]),
          ...(bundles.length > 1 ? [`doubled: ${bundles.length} bundles of one trust domain`] : []),
          ...fileFindings(folder, ['keys.json']),
        ],
      };
    } finally {
      connection.close();
    }
  } finally {
    rmSync(copies, { recursive: true });
  }
}

function copyDatabase(folder: string, copies: string, running: boolean): string {
  const source = path.join(folder, DATABASE);
  const copy = path.join(copies, DATABASE);
  if (!running) {
    for (const suffix of ['', '-wal']) {
      if (existsSync(source + suffix)) copyFileSync(source + suffix, copy + suffix);
    }
    return copy;
  }
  const connection = openConnection(source, { busyTimeoutMs: 5000 });
  try {
    connection.prepare('VACUUM INTO ?').run(copy);
  } finally {
    connection.close();
  }
  return copy;
}

/** Files with secrets are for the owner alone, and what a crash left beside them is too. */
export function fileFindings(folder: string, secret: readonly string[]): string[] {
  const findings: string[] = [];
  const names = readdirSync(folder);
  for (const name of names) {
    const isSecret = secret.some((one) => name === one || name === `${one}.tmp`);
    if (isSecret && (statSync(path.join(folder, name)).mode & 0o777) !== 0o600) {
      findings.push(`${name} is not for its owner alone`);
    }
  }
  const temporary = names.filter((name) => /tmp|temp|probe|~$/.test(name));
  const strange = temporary.filter((name) => !secret.some((one) => name === `${one}.tmp`));
  return [...findings, ...strange.map((name) => `a temporary file is left: ${name}`)];
}

/** Which of the temporary files are there that the next write of their file has to remove. */
export function leftTemporary(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.tmp'));
  } catch (error) {
    return [`${folder}: ${messageOf(error)}`];
  }
}

/** A column that is empty while there is nothing in it. */
function textOf(column: unknown): string {
  return typeof column === 'string' ? column : '';
}

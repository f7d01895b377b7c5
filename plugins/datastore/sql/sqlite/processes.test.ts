import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { engineName } from './connection.ts';
import { sqliteTests } from '../../../../test/support/sqlite.ts';

/** Another server, written with nothing of ours: takes each token if it can and tells which ones it got. */
const OTHER_SERVER = `
  const [, library, file] = process.argv;
  const database = library === 'node:sqlite'
    ? new (require(library).DatabaseSync)(file, { timeout: 10000 })
    : new (require(library))(file, { timeout: 10000 });
  const take = database.prepare('DELETE FROM join_tokens WHERE token = ? RETURNING token');
  process.on('message', (tokens) => {
    const got = tokens.filter((token) => take.get(token) !== undefined);
    process.send({ got }, () => process.disconnect());
  });
  process.send('ready');
`;

describe('two processes on one file', () => {
  const { path, open } = sqliteTests();

  it('give each join token away once', async () => {
    const file = path();
    const store = await open(file);
    const tokens = Array.from({ length: 200 }, (_, n) => `token-${n}`);
    for (const token of tokens) await store.joinTokens.create({ token, expiresAt: 5 });
    const other = otherServer(file);
    await once(other, 'message');
    const answer = once(other, 'message');
    // From opposite ends, so that both get some.
    other.send(tokens.toReversed());
    const ours: string[] = [];
    for (const token of tokens) if ((await store.joinTokens.consume(token)) !== undefined) ours.push(token);
    const [{ got: theirs }] = (await answer) as [{ got: string[] }];
    expect([...ours, ...theirs].sort()).toEqual([...tokens].sort());
  });
});

function otherServer(file: string): ChildProcess {
  const name = engineName(process.versions.node);
  const library = name === 'node:sqlite' ? name : createRequire(import.meta.url).resolve(name);
  return spawn(process.execPath, ['-e', OTHER_SERVER, library, file], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

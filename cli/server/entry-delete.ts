import { readFile } from 'node:fs/promises';
import { type CommandIo, defineCommand } from '../../common/cli/command.ts';
import { text } from '../../common/cli/flags.ts';
import { messageOf } from '../../common/errors.ts';
import { entryService } from '../../common/rpc/services.ts';
import type { BatchDeleteEntryResponse__Output } from '../../proto/gen/spire/api/server/entry/v1/BatchDeleteEntryResponse.ts';
import { commandFailure, callFailure, statusName } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { readAll } from '../stdin.ts';
import { withServer } from './connection.ts';
import { replyFlags } from './flags.ts';

export const entryDelete = defineCommand({
  name: 'entry delete',
  synopsis: 'Deletes registration entries',
  flags: {
    ...replyFlags,
    entryID: text('', 'ID of the entry'),
    file: text('', 'File with {"ids": [...]}, or - for standard input'),
  },
  async run(flags, io) {
    if (flags.entryID === '' && flags.file === '') throw commandFailure('an entry ID is required');
    const ids = flags.file === '' ? [flags.entryID] : await idsFromFile(flags.file, io);
    const reply = await withServer(flags, io.env, (server) =>
      server.call(entryService(), 'BatchDeleteEntry', { ids }).catch((error: unknown) => {
        throw callFailure('failed to delete entry', error);
      }),
    );
    printReply(
      io,
      flags.output,
      () => replyJson(entryService(), 'BatchDeleteEntry', reply),
      () => printDeleted(io, reply.results),
    );
    return 0;
  },
});

async function idsFromFile(file: string, io: CommandIo): Promise<string[]> {
  try {
    const document: unknown = JSON.parse(file === '-' ? await readAll(io.stdin) : await readFile(file, 'utf8'));
    const ids: unknown = typeof document === 'object' && document !== null ? Reflect.get(document, 'ids') : undefined;
    if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'string'))
      throw new Error('"ids" must be a list of repeated');
    return ids;
  } catch (error) {
    throw commandFailure(`cannot read entry IDs from ${file}: ${messageOf(error)}`);
  }
}

/** The layout, with its missing last newline, is the reference's; scripts compare it. */
function printDeleted(io: CommandIo, results: BatchDeleteEntryResponse__Output['results']): void {
  const deleted = results.filter((one) => one.status?.code === 0);
  const failed = results.filter((one) => one.status?.code !== 0);
  for (const { id } of deleted) io.out(`Deleted entry with ID: ${id}\n`);
  if (deleted.length > 0) io.out('\n\n');
  for (const { id, status } of failed) {
    const message = JSON.stringify(status?.message ?? '');
    io.err(`Failed to delete entry with ID ${id} (code: ${statusName(status?.code ?? 2)}, msg: ${message})\n`);
  }
  if (failed.length === 0) {
    io.out(`Deleted ${deleted.length} entries successfully`);
    return;
  }
  io.out('\n\n');
  const done = deleted.length > 0 ? `Deleted ${deleted.length} entries successfully, but failed` : 'Failed';
  io.out(`${done} to delete ${failed.length} entries`);
  throw commandFailure('failed to delete one or more entries');
}

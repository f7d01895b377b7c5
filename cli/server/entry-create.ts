import { defineCommand } from '../../common/cli/command.ts';
import { bool } from '../../common/cli/flags.ts';
import { entryService } from '../../common/rpc/services.ts';
import type { Entry } from '../../proto/gen/spire/api/types/Entry.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { withServer } from './connection.ts';
import { readAll } from '../stdin.ts';
import { entriesFromFile } from './entry-data.ts';
import { entryFromFlags, printEntryResults, requireEntryFlags, withRequested } from './entry-result.ts';
import { entryFlags, replyFlags } from './flags.ts';
import { idFromFlag } from './request.ts';

export const entryCreate = defineCommand({
  name: 'entry create',
  synopsis: 'Creates registration entries',
  flags: {
    ...replyFlags,
    ...entryFlags,
    node: bool('The entry names a set of agents, an alias, rather than workloads'),
  },
  async run(flags, io) {
    const entries = flags.data === '' ? [fromFlags(flags)] : await entriesFromFile(flags.data, () => readAll(io.stdin));
    const reply = await withServer(flags, io.env, (server) =>
      server.call(entryService(), 'BatchCreateEntry', { entries }).catch((error: unknown) => {
        throw callFailure('', error);
      }),
    );
    const results = withRequested(reply.results, entries);
    printReply(
      io,
      flags.output,
      () => replyJson(entryService(), 'BatchCreateEntry', { results }),
      () => printEntryResults(io, results, 'create'),
    );
    return 0;
  },
});

function fromFlags(flags: Parameters<typeof entryFromFlags>[0] & { readonly node: boolean }): Entry {
  if (flags.selector.length === 0) throw commandFailure('at least one selector is required');
  if (flags.node && flags.federatesWith.length > 0) throw commandFailure('node entries can not federate');
  if (flags.parentID === '' && !flags.node) throw commandFailure('a parent ID is required if the node flag is not set');
  requireEntryFlags(flags);
  const spiffeId = idFromFlag(flags.spiffeID);
  const parent = flags.node
    ? { trust_domain: spiffeId.trust_domain ?? '', path: '/spire/server' }
    : idFromFlag(flags.parentID);
  const entry = entryFromFlags(flags, spiffeId, parent);
  if (!flags.disableX509SVIDPrefetch && !flags.jwtSVIDIncludeJTI) return entry;
  const additional_attributes = {
    disable_x509_svid_prefetch: flags.disableX509SVIDPrefetch,
    jwt_svid_include_jti: flags.jwtSVIDIncludeJTI,
  };
  return { ...entry, additional_attributes };
}

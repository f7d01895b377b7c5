import { defineCommand } from '../../common/cli/command.ts';
import { text } from '../../common/cli/flags.ts';
import { hasCode } from '../../common/errors.ts';
import type { RpcChannel } from '../../common/rpc/client.ts';
import { workloadService } from '../../common/rpc/services.ts';
import type { JsonValue } from '../../common/rpc/struct.ts';
import type { JWTBundlesResponse__Output } from '../../proto/gen/workload/JWTBundlesResponse.ts';
import type { JWTSVIDResponse__Output } from '../../proto/gen/workload/JWTSVIDResponse.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { callOptions, withAgent } from './connection.ts';
import { replyFlags } from './flags.ts';

export const apiFetchJwt = defineCommand({
  name: 'api fetch jwt',
  synopsis: 'Fetches a JWT SVID from the Workload API',
  bareErrors: true,
  flags: {
    ...replyFlags,
    // The older name of -output, which charts in the field still use.
    format: text('', 'Deprecated; use -output'),
    audience: text('', 'Audiences of the token, separated by commas'),
    spiffeID: text('', 'Only the identity with this SPIFFE ID'),
  },
  async run(flags, io, { given }) {
    const audience = flags.audience.split(',').filter((one) => one !== '');
    if (audience.length === 0) throw commandFailure('audience must be specified');
    const output = given.has('output') ? flags.output : formatFromFlag(flags.format);
    const replies = await withAgent(flags, io.env, async (agent) => {
      const bundles = await firstBundles(agent, flags.timeout);
      const request = { audience, spiffe_id: flags.spiffeID };
      const tokens = await agent
        .call(workloadService(), 'FetchJWTSVID', request, callOptions(flags.timeout))
        .catch((error: unknown) => {
          throw callFailure('', error);
        });
      return { tokens, bundles };
    });
    const json = (): JsonValue => [
      replyJson(workloadService(), 'FetchJWTSVID', replies.tokens),
      replyJson(workloadService(), 'FetchJWTBundles', replies.bundles),
    ];
    printReply(io, output, json, () => io.out(replyText(replies.tokens, replies.bundles)));
    return 0;
  },
});

function formatFromFlag(format: string): 'pretty' | 'json' {
  switch (format.toLowerCase()) {
    case '':
    case 'pretty':
    case 'prettyprint':
      return 'pretty';
    case 'json':
      return 'json';
    default:
      throw commandFailure(`invalid value "${format}" for flag -format: unknown format option: ${format}`);
  }
}

async function firstBundles(agent: RpcChannel, timeoutMs: number): Promise<JWTBundlesResponse__Output> {
  try {
    for await (const response of agent.serverStream(workloadService(), 'FetchJWTBundles', {}, callOptions(timeoutMs))) {
      return response;
    }
  } catch (error) {
    // The reference names the call only when it could not be made at all.
    throw callFailure(hasCode(error, 'unavailable') ? 'failed to receive JWT bundles' : '', error);
  }
  throw commandFailure('failed to receive JWT bundles: the agent ended the stream');
}

function replyText(tokens: JWTSVIDResponse__Output, bundles: JWTBundlesResponse__Output): string {
  const svids = tokens.svids.map(({ spiffe_id, svid, hint }) => {
    const named = hint === '' ? '' : `hint(${spiffe_id}):\n\t${hint}\n`;
    return `token(${spiffe_id}):\n\t${svid}\n${named}`;
  });
  const keys = Object.entries(bundles.bundles)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, jwks]) => `bundle(${id}):\n\t${String(jwks)}\n`);
  return [...svids, ...keys].join('');
}

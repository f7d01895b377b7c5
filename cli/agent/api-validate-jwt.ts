import { defineCommand } from '../../common/cli/command.ts';
import { text } from '../../common/cli/flags.ts';
import { hasCode } from '../../common/errors.ts';
import { jsonText } from '../../common/rpc/json.ts';
import { workloadService } from '../../common/rpc/services.ts';
import { fromStruct } from '../../common/rpc/struct.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { callOptions, withAgent } from './connection.ts';
import { replyFlags } from './flags.ts';

export const apiValidateJwt = defineCommand({
  name: 'api validate jwt',
  synopsis: 'Validates a JWT SVID',
  bareErrors: true,
  flags: {
    ...replyFlags,
    audience: text('', 'Audience that the token must be meant for'),
    svid: text('', 'The token'),
  },
  async run(flags, io) {
    if (flags.audience === '') throw commandFailure('audience must be specified');
    if (flags.svid === '') throw commandFailure('svid must be specified');
    const request = { audience: flags.audience, svid: flags.svid };
    const reply = await withAgent(flags, io.env, (agent) =>
      agent.call(workloadService(), 'ValidateJWTSVID', request, callOptions(flags.timeout)).catch((error: unknown) => {
        if (hasCode(error, 'invalid-argument')) throw commandFailure(`SVID is not valid: ${error.message}`);
        throw callFailure('unable to validate JWT SVID', error);
      }),
    );
    printReply(
      io,
      flags.output,
      () => replyJson(workloadService(), 'ValidateJWTSVID', reply),
      () => {
        io.out(
          `SVID is valid.\nSPIFFE ID : ${reply.spiffe_id}\nClaims    : ${jsonText(reply.claims === null ? {} : fromStruct(reply.claims))}\n`,
        );
      },
    );
    return 0;
  },
});

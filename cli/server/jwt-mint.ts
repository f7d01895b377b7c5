import { writeFile } from 'node:fs/promises';
import { defineCommand } from '../../common/cli/command.ts';
import { duration, repeated, text } from '../../common/cli/flags.ts';
import { systemClock } from '../../common/clock.ts';
import { messageOf } from '../../common/errors.ts';
import { svidService } from '../../common/rpc/services.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { withServer } from './connection.ts';
import { replyFlags } from './flags.ts';
import { cappedWarning, secondsFromFlag } from './lifetime.ts';
import { idFromFlag } from './request.ts';

export const jwtMint = defineCommand({
  name: 'jwt mint',
  synopsis: 'Mints a JWT-SVID',
  flags: {
    ...replyFlags,
    spiffeID: text('', 'SPIFFE ID of the JWT-SVID'),
    audience: repeated('Audience of the JWT-SVID; may be given more than once'),
    ttl: duration(0, 'Lifetime of the JWT-SVID, such as 5m; 0 for the default'),
    write: text('', 'File for the token instead of printing it'),
  },
  async run(flags, io) {
    if (flags.spiffeID === '') throw commandFailure('spiffeID must be specified');
    if (flags.audience.length === 0) throw commandFailure('at least one audience must be specified');
    const id = idFromFlag(flags.spiffeID, 'invalid SPIFFE ID');
    const ttl = secondsFromFlag(flags.ttl);
    const reply = await withServer(flags, io.env, (server) =>
      server.call(svidService(), 'MintJWTSVID', { id, ttl, audience: flags.audience }).catch((error: unknown) => {
        throw callFailure('unable to mint SVID', error);
      }),
    );
    const token = reply.svid?.token ?? '';
    if (token === '') throw commandFailure('server response missing token');
    io.err(cappedWarning('JWT-SVID', Number(reply.svid?.expires_at ?? 0), ttl, systemClock));
    if (flags.write !== '') {
      await writeFile(flags.write, token, { mode: 0o600 }).catch((error: unknown) => {
        throw commandFailure(`unable to write token: ${messageOf(error)}`);
      });
      io.out(`JWT-SVID written to ${flags.write}\n`);
    } else
      printReply(
        io,
        flags.output,
        () => replyJson(svidService(), 'MintJWTSVID', reply),
        () => io.out(`${token}\n`),
      );
    return 0;
  },
});

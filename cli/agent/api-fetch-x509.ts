import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type CommandIo, defineCommand } from '../../common/cli/command.ts';
import { bool, text } from '../../common/cli/flags.ts';
import { systemClock } from '../../common/clock.ts';
import { messageOf } from '../../common/errors.ts';
import type { RpcChannel } from '../../common/rpc/client.ts';
import { jsonText } from '../../common/rpc/json.ts';
import { workloadService } from '../../common/rpc/services.ts';
import type { X509SVIDResponse__Output } from '../../proto/gen/workload/X509SVIDResponse.ts';
import type { Certificate } from '../../spiffe/x509/certificate.ts';
import { encodePem } from '../../spiffe/x509/pem.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { replyJson } from '../reply.ts';
import { callOptions, withAgent } from './connection.ts';
import { replyFlags } from './flags.ts';
import { type ReceivedSvid, receivedSvids, svidsText } from './svid-print.ts';

const command = (name: string) =>
  defineCommand({
    name,
    synopsis: 'Fetches X509 SVIDs from the Workload API',
    bareErrors: true,
    flags: {
      ...replyFlags,
      silent: bool('Prints nothing that was received'),
      write: text('', 'Folder to write SVIDs, keys and bundles to; only with -output pretty'),
    },
    async run(flags, io) {
      const started = systemClock.steady();
      const response = await withAgent(flags, io.env, (agent) => firstResponse(agent, flags.timeout));
      const elapsed = systemClock.steady() - started;
      if (flags.output === 'json') {
        io.out(`${jsonText(replyJson(workloadService(), 'FetchX509SVID', response))}\n`);
        return 0;
      }
      const svids = receivedSvids(response, systemClock.now());
      if (!flags.silent) io.out(svidsText(svids, elapsed, 'fetch'));
      if (flags.write !== '') await writeAll(io, flags.write, svids);
      return 0;
    },
  });

/** `api fetch` is the short form of `api fetch x509`. */
export const apiFetchX509 = command('api fetch x509');
export const apiFetch = command('api fetch');

async function firstResponse(agent: RpcChannel, timeoutMs: number): Promise<X509SVIDResponse__Output> {
  try {
    for await (const response of agent.serverStream(workloadService(), 'FetchX509SVID', {}, callOptions(timeoutMs))) {
      return response;
    }
  } catch (error) {
    throw callFailure('', error);
  }
  throw commandFailure('the agent ended the stream without a response');
}

const pem = (certificates: readonly Certificate[]): string =>
  certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join('');

async function writeAll(io: CommandIo, folder: string, svids: readonly ReceivedSvid[]): Promise<void> {
  const write = async (what: string, name: string, content: string, mode: number): Promise<void> => {
    const file = path.join(folder, name);
    io.out(`Writing ${what} to file ${file}.\n`);
    await writeFile(file, content, { mode }).catch((error: unknown) => {
      throw commandFailure(`cannot write ${what} to ${file}: ${messageOf(error)}`);
    });
  };
  for (const [n, svid] of svids.entries()) {
    await write(`SVID #${n}`, `svid.${n}.pem`, pem(svid.chain), 0o644);
    await write(`key #${n}`, `svid.${n}.key`, encodePem('PRIVATE KEY', svid.privateKey), 0o600);
    await write(`bundle #${n}`, `bundle.${n}.pem`, pem(svid.bundle), 0o644);
    for (const [m, { id, bundle }] of svid.federated.entries()) {
      const what = `federated bundle #${m} for trust domain ${id}`;
      await write(what, `federated_bundle.${n}.${m}.pem`, pem(bundle), 0o644);
    }
  }
}

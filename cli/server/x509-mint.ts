import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type CommandIo, defineCommand } from '../../common/cli/command.ts';
import { duration, repeated, text } from '../../common/cli/flags.ts';
import { systemClock } from '../../common/clock.ts';
import { messageOf } from '../../common/errors.ts';
import { jsonText } from '../../common/rpc/json.ts';
import { bundleService, svidService } from '../../common/rpc/services.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { createCsr } from '../../spiffe/x509/csr.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import { SVID_SUBJECT } from '../../spiffe/x509/profile.ts';
import { encodePem } from '../../spiffe/x509/pem.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { withServer } from './connection.ts';
import { replyFlags } from './flags.ts';
import { cappedWarning, secondsFromFlag } from './lifetime.ts';

interface Minted {
  readonly svid: readonly Buffer[];
  readonly privateKey: Buffer;
  readonly roots: readonly Buffer[];
}

export const x509Mint = defineCommand({
  name: 'x509 mint',
  synopsis: 'Mints an X509-SVID',
  flags: {
    ...replyFlags,
    spiffeID: text('', 'SPIFFE ID of the X509-SVID'),
    ttl: duration(0, 'Lifetime of the X509-SVID, such as 30m; 0 for the default'),
    dns: repeated('DNS name in the X509-SVID; may be given more than once'),
    write: text('', 'Folder for svid.pem, key.pem and bundle.pem instead of printing them'),
  },
  async run(flags, io) {
    if (flags.spiffeID === '') throw commandFailure('spiffeID must be specified');
    const id = idOf(flags.spiffeID);
    const ttl = secondsFromFlag(flags.ttl);
    const signer = await generateSigner('ec-p256');
    const csr = await createCsr({ signer, subject: SVID_SUBJECT, uris: [id], dnsNames: flags.dns });
    const { svid, bundle } = await withServer(flags, io.env, async (server) => {
      const minted = await server.call(svidService(), 'MintX509SVID', { csr, ttl }).catch((error: unknown) => {
        throw callFailure('unable to mint SVID', error);
      });
      const authorities = await server.call(bundleService(), 'GetBundle', {}).catch((error: unknown) => {
        throw callFailure('unable to get bundle', error);
      });
      return { svid: minted.svid, bundle: authorities };
    });
    if (svid === null || svid.cert_chain.length === 0) throw commandFailure('server response missing SVID chain');
    if (bundle.x509_authorities.length === 0) throw commandFailure('server response missing X509 Authorities');
    io.err(cappedWarning('X509-SVID', Number(svid.expires_at), ttl, systemClock));
    const roots = bundle.x509_authorities.map(({ asn1 }) => asn1);
    const minted = { svid: svid.cert_chain, privateKey: signer.pkcs8(), roots };
    if (flags.write === '') print(io, flags.output, minted);
    else await write(io, flags.write, minted);
    return 0;
  },
});

function idOf(value: string): string {
  try {
    return parseSpiffeId(value);
  } catch (error) {
    throw commandFailure(`invalid SPIFFE ID "${value}": ${messageOf(error)}`);
  }
}

const pem = (ders: readonly Buffer[]): string => ders.map((der) => encodePem('CERTIFICATE', der)).join('');

function print(io: CommandIo, output: 'pretty' | 'json', minted: Minted): void {
  if (output === 'json') {
    const base64 = (ders: readonly Buffer[]): string[] => ders.map((der) => der.toString('base64'));
    const reply = {
      x509_svid: base64(minted.svid),
      private_key: minted.privateKey.toString('base64'),
      root_cas: base64(minted.roots),
    };
    io.out(`${jsonText(reply)}\n`);
    return;
  }
  io.out(`X509-SVID:\n${pem(minted.svid)}\n`);
  io.out(`Private key:\n${encodePem('PRIVATE KEY', minted.privateKey)}\n`);
  io.out(`Root CAs:\n${pem(minted.roots)}\n`);
}

async function write(io: CommandIo, folder: string, minted: Minted): Promise<void> {
  const files = [
    { what: 'SVID', label: 'X509-SVID', name: 'svid.pem', mode: 0o644, text: pem(minted.svid) },
    {
      what: 'key',
      label: 'Private key',
      name: 'key.pem',
      mode: 0o600,
      text: encodePem('PRIVATE KEY', minted.privateKey),
    },
    { what: 'bundle', label: 'Root CAs', name: 'bundle.pem', mode: 0o644, text: pem(minted.roots) },
  ];
  for (const { what, label, name, mode, text: content } of files) {
    const file = path.join(folder, name);
    await writeFile(file, content, { mode }).catch((error: unknown) => {
      throw commandFailure(`unable to write ${what}: ${messageOf(error)}`);
    });
    io.out(`${label} written to ${file}\n`);
  }
}

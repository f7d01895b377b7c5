import { defineCommand } from '../../common/cli/command.ts';
import { text } from '../../common/cli/flags.ts';
import { bundleService } from '../../common/rpc/services.ts';
import type { Bundle__Output } from '../../proto/gen/spire/api/types/Bundle.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { bundleToSpiffeJson } from '../../spiffe/bundle/json.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { encodePem } from '../../spiffe/x509/pem.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { withServer } from './connection.ts';
import { replyFlags } from './flags.ts';

export const bundleShow = defineCommand({
  name: 'bundle show',
  synopsis: 'Prints server CA bundle to stdout',
  flags: { ...replyFlags, format: text('pem', 'How to print the bundle when -output is pretty: pem or spiffe') },
  async run(flags, io) {
    const reply = await withServer(flags, io.env, (server) =>
      server.call(bundleService(), 'GetBundle', {}).catch((error: unknown) => {
        throw callFailure('', error);
      }),
    );
    printReply(
      io,
      flags.output,
      () => replyJson(bundleService(), 'GetBundle', reply),
      () => io.out(bundleText(reply, flags.format)),
    );
    return 0;
  },
});

function bundleText(bundle: Bundle__Output, format: string): string {
  switch (format.toLowerCase()) {
    case 'pem':
      return bundle.x509_authorities.map(({ asn1 }) => encodePem('CERTIFICATE', asn1)).join('');
    case 'spiffe':
      return `${bundleToSpiffeJson(toBundle(bundle))}\n`;
    default:
      throw commandFailure(`invalid format: "${format}"`);
  }
}

function toBundle(bundle: Bundle__Output): Bundle {
  return {
    trustDomain: parseTrustDomain(bundle.trust_domain),
    x509Authorities: bundle.x509_authorities.map(({ asn1, tainted }) => ({ certificate: asn1, tainted })),
    jwtAuthorities: bundle.jwt_authorities.map((key) => ({
      publicKey: key.public_key,
      keyId: key.key_id,
      expiresAt: Number(key.expires_at),
      tainted: key.tainted,
    })),
    witAuthorities: [],
    refreshHint: Number(bundle.refresh_hint),
    sequenceNumber: BigInt(bundle.sequence_number),
  };
}

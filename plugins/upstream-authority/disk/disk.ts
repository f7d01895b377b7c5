import { randomBytes } from 'node:crypto';
import { messageOf, withContext } from '../../../common/errors.ts';
import { object, optional, required, string } from '../../../common/config/schema.ts';
import { definePlugin, type PluginContext } from '../../plugin.ts';
import type { MintedX509Ca, UpstreamAuthority } from '../contract.ts';
import { type UpstreamCa, type UpstreamCaPaths, readUpstreamCa } from './files.ts';
import { signCaRequest } from './sign-request.ts';

/** Signs this server's CA with a CA whose certificate and key are in files. */
export const diskUpstreamAuthority = definePlugin({
  type: 'UpstreamAuthority',
  name: 'disk',
  config: object({
    cert_file_path: required(string()),
    key_file_path: required(string()),
    bundle_file_path: optional(string()),
  }),
  create: (config, context): Promise<UpstreamAuthority> =>
    openDiskUpstream(
      { certificate: config.cert_file_path, key: config.key_file_path, bundle: config.bundle_file_path },
      context,
      randomBytes,
    ),
});

/**
 * Reads the files once, so that a mistake shows at start, and again at each mint, so that an operator can replace them;
 * files that cannot be used then are logged, and the last good ones serve.
 *
 * @param random random bytes
 */
export async function openDiskUpstream(
  paths: UpstreamCaPaths,
  { clock, log, trustDomain }: PluginContext,
  random: (size: number) => Buffer,
): Promise<UpstreamAuthority> {
  let ca: UpstreamCa = await readUpstreamCa(paths, clock.now());
  return {
    async mintX509Ca({ csr, preferredTtl }): Promise<MintedX509Ca> {
      try {
        ca = await readUpstreamCa(paths, clock.now());
      } catch (error) {
        log.error('Upstream CA files cannot be used; the ones read before are', { error: messageOf(error) });
      }
      const certificate = await signCaRequest({ csr, ca, preferredTtl, trustDomain, now: clock.now(), random }).catch(
        (error: unknown) => {
          throw withContext('unable to sign CSR', error);
        },
      );
      return { chain: [certificate, ...ca.chain], roots: once(ca.roots) };
    },
  };
}

/** The files do not tell when they change. */
async function* once(roots: readonly Buffer[]): MintedX509Ca['roots'] {
  yield roots.map((certificate) => ({ certificate, tainted: false }));
}

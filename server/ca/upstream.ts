import type { Clock } from '../../common/clock.ts';
import { FinialError, messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { BundleStore } from '../../plugins/datastore/sql/contract.ts';
import type { UpstreamAuthority } from '../../plugins/upstream-authority/contract.ts';
import type { JwtAuthority, X509Authority } from '../../spiffe/bundle/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

/** The plugin, and where its roots and keys go. */
export interface UpstreamDeps {
  /** The plugin's name, for the log. */
  readonly name: string;
  readonly authority: UpstreamAuthority;
  readonly bundles: Pick<BundleStore, 'get' | 'append'>;
  readonly trustDomain: TrustDomain;
  readonly clock: Clock;
  readonly log: Logger;
  /** The life of the server: streams to the upstream end with it. */
  readonly signal: AbortSignal;
}

/** The upstream authority as this server uses it: what it sends reaches the bundle before anything is signed under it. */
export interface Upstream {
  /**
   * Has a CA signed. Its roots are in the bundle when this resolves, and later changes of them go there too until the
   * next CA is minted.
   *
   * @param check throws when nothing valid could be issued under the chain and these roots
   * @returns DER, the CA first, without the root
   */
  mintX509Ca(
    request: { readonly csr: Buffer; readonly preferredTtl: number },
    check: (chain: readonly Buffer[], roots: readonly Buffer[]) => Promise<void>,
  ): Promise<readonly Buffer[]>;
  /** Publishes the key upstream or, where the upstream keeps no JWT keys, in the local bundle. */
  publishJwtKey(key: JwtAuthority): Promise<void>;
}

/** How long the upstream may take to publish a JWT key. */
const PUBLISH_TIMEOUT_MS = 5000;

/** Connects an upstream authority with the local bundle. */
export function upstreamOf(deps: UpstreamDeps): Upstream {
  const { authority, bundles, log, name, signal, trustDomain } = deps;
  const roots = stream<readonly X509Authority[]>('X.509 root', deps, (changed) => storeRoots(deps, changed));
  const jwtKeys = stream<readonly JwtAuthority[]>('JWT key', deps, async (changed) => {
    await bundles.append({ trustDomain, jwtAuthorities: changed });
  });
  let warned = false;

  return {
    async mintX509Ca(request, check) {
      const stop = new AbortController();
      try {
        const minted = await authority.mintX509Ca(request, AbortSignal.any([signal, stop.signal]));
        await roots.follow(minted.roots, stop, (first) =>
          check(
            minted.chain,
            first.map((root) => root.certificate),
          ),
        );
        return minted.chain;
      } catch (error) {
        stop.abort();
        throw error;
      }
    },
    async publishJwtKey(key) {
      if (authority.publishJwtKey !== undefined) {
        const stop = new AbortController();
        const published = authority.publishJwtKey(key, AbortSignal.any([signal, stop.signal]));
        await within(PUBLISH_TIMEOUT_MS, deps.clock, stop, jwtKeys.follow(published, stop));
        return;
      }
      if (!warned) {
        warned = true;
        log.warn(
          'UpstreamAuthority plugin keeps no JWT keys: JWT-SVIDs of this server verify only where its own bundle is known',
          { plugin_name: name },
        );
      }
      await bundles.append({ trustDomain, jwtAuthorities: [key] });
    },
  };
}

/** A stream of authorities from the upstream, of which there is one at a time. */
interface AuthorityStream<T> {
  /**
   * Takes the first value, which must come, and stores it; then stores later ones in the background, in place of the
   * stream followed before.
   *
   * @param accept throws when the first value is not to be stored
   */
  follow(values: AsyncIterable<T>, stop: AbortController, accept?: (first: T) => Promise<void>): Promise<void>;
}

function stream<T>(what: string, { log }: UpstreamDeps, store: (value: T) => Promise<void>): AuthorityStream<T> {
  let open: AbortController | undefined;
  const followRest = async (rest: AsyncIterator<T>, signal: AbortSignal): Promise<void> => {
    try {
      for (let next = await rest.next(); next.done !== true && !signal.aborted; next = await rest.next()) {
        await store(next.value).catch((error: unknown) => {
          log.error(`Failed to store ${what}s received by the upstream authority plugin.`, { error: messageOf(error) });
        });
      }
    } catch (error) {
      // The next authority that is prepared opens a new stream.
      if (!signal.aborted) log.error(`The upstream authority ended its ${what} updates`, { error: messageOf(error) });
    }
  };
  return {
    async follow(values, stop, accept) {
      const iterator = values[Symbol.asyncIterator]();
      const first = await iterator.next();
      if (first.done === true) throw new FinialError('internal', `the upstream authority sent no ${what}s`);
      await accept?.(first.value);
      await store(first.value);
      open?.abort();
      open = stop;
      void followRest(iterator, stop.signal);
    },
  };
}

/** Adds the roots that the bundle lacks; nothing is removed here, as other servers' CAs may still need what is there. */
async function storeRoots({ bundles, log, trustDomain }: UpstreamDeps, roots: readonly X509Authority[]): Promise<void> {
  const stored = (await bundles.get(trustDomain))?.x509Authorities ?? [];
  const knownAs = (root: X509Authority): X509Authority | undefined =>
    stored.find((one) => one.certificate.equals(root.certificate));
  if (roots.some((root) => root.tainted && knownAs(root)?.tainted === false)) {
    log.warn('The upstream authority tainted a root of this trust domain; prepare and activate a new X.509 authority');
  }
  const added = roots.filter((root) => knownAs(root) === undefined);
  if (added.length > 0) await bundles.append({ trustDomain, x509Authorities: added });
}

/** Fails when `work` does not end within `ms`, and stops it whenever it fails. */
async function within(ms: number, clock: Clock, stop: AbortController, work: Promise<void>): Promise<void> {
  const timer = new AbortController();
  const timeout = clock.sleep(ms, timer.signal).then(() => {
    throw new FinialError('deadline-exceeded', 'the upstream authority took too long to publish the JWT key');
  });
  try {
    await Promise.race([work, timeout]);
  } catch (error) {
    stop.abort();
    throw error;
  } finally {
    timer.abort();
  }
}

import { type Clock, systemClock } from '../common/clock.ts';
import { FinialError } from '../common/errors.ts';
import { holdSource, type SourceOptions } from './held-source.ts';
import type { Source, X509BundleProvider, X509Svid, X509SvidProvider } from './source.ts';
import type { X509Context } from './x509-context.ts';

/** The X.509 identity of this process, kept current: read it whenever it is needed, never store it. */
export interface X509Source extends Source, X509SvidProvider, X509BundleProvider {
  /** @throws FinialError when it was revoked or the source is closed */
  readonly current: X509Context;
  /** Every identity of this process, the default one first. @throws as `current` */
  readonly svids: readonly [X509Svid, ...X509Svid[]];
  /** The identity that the operator gave this name, if there is one. @throws as `current`, and when it has expired */
  svidByHint(hint: string): X509Svid | undefined;
}

/** Which identity a source presents, and how it follows the agent. */
export interface X509SourceOptions extends SourceOptions {
  /** Which identity to present when there are several; the default one, which is the first, unless said otherwise. */
  readonly pick?: (svids: readonly [X509Svid, ...X509Svid[]]) => X509Svid | undefined;
}

/**
 * Asks the agent for the identity of this process and follows its rotations.
 *
 *     const source = await createX509Source();
 *
 * @throws FinialError `deadline-exceeded`, `cancelled`, or the agent's refusal; see SourceOptions
 */
export async function createX509Source(options: X509SourceOptions = {}): Promise<X509Source> {
  const { pick = ([first]) => first, clock = systemClock } = options;
  const held = await holdSource('X509-SVID', (api) => api.x509, options);
  return {
    get current() {
      return held.current;
    },
    get svids() {
      return held.current.svids;
    },
    get svid() {
      const svid = pick(held.current.svids);
      if (svid === undefined) throw new FinialError('not-found', 'no X509-SVID of this process was picked');
      return unexpired(svid, clock);
    },
    get x509Bundles() {
      return held.current.bundles;
    },
    svidByHint(hint) {
      const svid = held.current.svids.find((one) => one.hint === hint);
      return svid && unexpired(svid, clock);
    },
    onUpdate: (listener) => held.onUpdate(listener),
    onError: (listener) => held.onError(listener),
    close: () => held.close(),
    [Symbol.dispose]: () => held.close(),
  };
}

/** @throws FinialError `unavailable` */
function unexpired(svid: X509Svid, clock: Clock): X509Svid {
  if (svid.notAfter > clock.now()) return svid;
  throw new FinialError('unavailable', `the X509-SVID of ${svid.id} has expired, and the agent sent no new one`);
}

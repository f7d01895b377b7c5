import { systemClock } from '../common/clock.ts';
import { FinialError } from '../common/errors.ts';
import { bothOrNeither } from './both.ts';
import type { SourceOptions } from './held-source.ts';
import type { Source } from './source.ts';
import type { HeldWitSvid, WitBundles } from './wit-svids.ts';

/** The WIT-SVIDs of this process and the keys that verify those of others, kept current. */
export interface WitSource extends Source {
  /** Every identity of this process, the default one first. @throws FinialError when they were revoked */
  readonly svids: readonly [HeldWitSvid, ...HeldWitSvid[]];
  /** The one to present. @throws as `svids`, and `unavailable` when it has expired */
  readonly svid: HeldWitSvid;
  readonly witBundles: WitBundles;
}

/** Which identity a source presents, and how it follows the agent. */
export interface WitSourceOptions extends Omit<SourceOptions, 'wit'> {
  /** Which identity to present when there are several; the default one, which is the first, unless said otherwise. */
  readonly pick?: (svids: readonly [HeldWitSvid, ...HeldWitSvid[]]) => HeldWitSvid | undefined;
}

/**
 * Asks the agent for the WIT-SVIDs of this process and follows them. Incubating: an agent that does not serve them (the
 * usual case today) answers `unimplemented`, and nothing is tried again.
 *
 * @throws FinialError as createX509Source; `failed-precondition` when a given `api` was made without `wit`
 */
export async function createWitSource(options: WitSourceOptions = {}): Promise<WitSource> {
  const { pick = ([first]) => first, clock = systemClock } = options;
  const held = await bothOrNeither(
    { ...options, wit: true },
    { what: 'WIT-SVID', streamOf: (api) => api.witSvids },
    { what: 'WIT bundle', streamOf: (api) => api.witBundles },
  );
  const [svids, bundles] = held.values;
  return {
    get svids() {
      return svids.current;
    },
    get svid() {
      const svid = pick(svids.current);
      if (svid === undefined) throw new FinialError('not-found', 'no WIT-SVID of this process was picked');
      if (svid.expiresAt > clock.now()) return svid;
      throw new FinialError('unavailable', `the WIT-SVID of ${svid.id} has expired, and the agent sent no new one`);
    },
    get witBundles() {
      return bundles.current;
    },
    ...held.source,
  };
}

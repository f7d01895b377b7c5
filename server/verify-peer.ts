import type { Clock } from '../common/clock.ts';
import { FinialError, messageOf } from '../common/errors.ts';
import { every } from '../common/every.ts';
import type { Task } from '../common/lifecycle.ts';
import type { Logger } from '../common/log/logger.ts';
import type { Observable } from '../common/observable.ts';
import type { PeerCertificate } from '../common/rpc/call.ts';
import type { BundleStore } from '../plugins/datastore/sql/contract.ts';
import type { Bundle } from '../spiffe/bundle/bundle.ts';
import { type SpiffeId, trustDomainOf } from '../spiffe/id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { verifyX509Svid } from '../spiffe/x509/verify.ts';

/** Whose bundles count. */
export interface PeerVerifierDeps {
  readonly trustDomain: TrustDomain;
  /** Of the own trust domain. */
  readonly bundle: Observable<Bundle>;
  /** Holds the bundles of other trust domains. */
  readonly bundles: Pick<BundleStore, 'get'>;
  /** The only IDs of other trust domains that are let in. */
  readonly adminIds: ReadonlySet<SpiffeId>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Judges client certificates. */
export interface PeerVerifier {
  /** Judges a client's chain (DER, leaf first) by the bundle of its own trust domain. @throws when it is not trusted */
  readonly verify: (chain: readonly Buffer[]) => PeerCertificate;
  /** Keeps the bundles of administrators' trust domains current. */
  readonly run: Task;
}

const REFRESH_MS = 5000;

/** Reads the bundles of the administrators' trust domains once. */
export async function openPeerVerifier(deps: PeerVerifierDeps): Promise<PeerVerifier> {
  const { adminIds, bundle, clock, trustDomain } = deps;
  const foreign = new Set([...adminIds].map(trustDomainOf).filter((one) => one !== trustDomain));
  const authorities = new Map<TrustDomain, readonly Buffer[]>();
  const refresh = async (): Promise<void> => {
    for (const one of foreign) {
      const found = await deps.bundles.get(one);
      if (found === undefined) authorities.delete(one);
      else authorities.set(one, certificatesOf(found));
    }
  };
  await refresh();
  return {
    verify(chain) {
      const authoritiesOf = (of: TrustDomain): readonly Buffer[] | undefined =>
        of === trustDomain ? certificatesOf(bundle.current) : authorities.get(of);
      const { id, leaf } = verifyX509Svid(chain, authoritiesOf, clock.now());
      if (trustDomainOf(id) !== trustDomain && !adminIds.has(id)) {
        throw new FinialError('unauthenticated', `${id} is of another trust domain and no administrator`);
      }
      return { id, chain, serialNumber: leaf.serialNumber.toString(), notAfter: leaf.notAfter };
    },
    run: (signal) =>
      every(REFRESH_MS, clock, signal, () =>
        refresh().catch((error: unknown) => {
          deps.log.error('Could not read the bundles of other trust domains', { error: messageOf(error) });
        }),
      ),
  };
}

function certificatesOf({ x509Authorities }: Bundle): readonly Buffer[] {
  return x509Authorities.map(({ certificate }) => certificate);
}

import type { HealthCheck } from '../common/health/health.ts';
import { messageOf } from '../common/errors.ts';
import type { BundleStore } from '../plugins/datastore/sql/contract.ts';
import { spiffeId } from '../spiffe/id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { fetchOwnBundle } from './api/health/self-check.ts';
import type { Authorities } from './ca/authorities.ts';
import type { Issuer } from './issuance/issue.ts';

/** What is looked at. */
export interface HealthChecksDeps {
  readonly trustDomain: TrustDomain;
  readonly socketPath: string;
  readonly issuer: Pick<Issuer, 'workloadX509Svid'>;
  readonly authorities: Pick<Authorities, 'failedRotations'>;
  readonly bundles: Pick<BundleStore, 'list'>;
  /** DER of the SubjectPublicKeyInfo over which a test SVID is signed; nobody has its private key. */
  readonly testKey: Buffer;
}

/** More rotations in a row than these must fail before the server counts as ill. */
const TOLERATED_ROTATION_FAILURES = 10;

/** The subsystems of a server, with the reference's names and details. */
export function serverHealthChecks(deps: HealthChecksDeps): Readonly<Record<string, HealthCheck>> {
  const { authorities, bundles, issuer, socketPath, trustDomain } = deps;
  const id = spiffeId(trustDomain, '/for/health/check/only');
  return {
    server: check('get_bundle_err', (signal) => fetchOwnBundle(socketPath, signal)),
    'server.ca': check('sign_x509_svid_err', () =>
      issuer.workloadX509Svid({ publicKey: deps.testKey, id, dnsNames: [], ttl: 0 }),
    ),
    'server.ca.rotator': check('rotation_err', async () => {
      if (authorities.failedRotations > TOLERATED_ROTATION_FAILURES) {
        throw new Error('rotations exceed the threshold number of failures');
      }
    }),
    'catalog.datastore': check('list_bundle_err', () => bundles.list({})),
  };
}

/** Live and ready while `work` succeeds; otherwise the failure is told under `detail`. */
function check(detail: string, work: (signal: AbortSignal) => Promise<unknown>): HealthCheck {
  return async (signal) => {
    try {
      await work(signal);
      return { live: true, ready: true };
    } catch (error) {
      const details = { [detail]: messageOf(error) };
      return { live: false, ready: false, liveDetails: details, readyDetails: details };
    }
  };
}

import { FinialError, messageOf } from '../common/errors.ts';
import type { X509BundlesResponse__Output } from '../proto/gen/workload/X509BundlesResponse.ts';
import type { X509SVID__Output } from '../proto/gen/workload/X509SVID.ts';
import type { X509SVIDResponse__Output } from '../proto/gen/workload/X509SVIDResponse.ts';
import { parseSpiffeId, trustDomainOf } from '../spiffe/id.ts';
import { parseX509Svid } from '../spiffe/x509/svid.ts';
import { malformed, readBundles, readMandatoryBundles, readX509Authorities } from './authorities.ts';
import { checkHint, firstOfEachHint } from './hint.ts';
import type { X509Bundles, X509Svid } from './source.ts';

/** Everything that a process needs to prove who it is and to check its peers. Replaced as a whole on each update. */
export interface X509Context {
  /** The first one is the default identity (SPIFFE Workload API 8). Never empty. */
  readonly svids: readonly [X509Svid, ...X509Svid[]];
  readonly bundles: X509Bundles;
  /** Certificate revocation lists, DER, as the agent sent them; nothing here acts on them. */
  readonly crl: readonly Buffer[];
}

/** The X.509 bundles that a process may use, without an identity. */
export interface X509BundleSet {
  readonly bundles: X509Bundles;
  readonly crl: readonly Buffer[];
}

/** The most identities in one message of the agent. */
const MAX_SVIDS = 1000;
/** Above what any verifier accepts from a peer. */
const MAX_CHAIN_LENGTH = 16;

/**
 * What a FetchX509SVID message means. Strict, as the private key in it decides who this process is: the key, the
 * certificate and the ID beside it must name one identity.
 *
 * @throws FinialError `data-loss` naming what is wrong
 */
export function readX509Context(message: X509SVIDResponse__Output): X509Context {
  const { svids: raw, federated_bundles, crl } = message;
  if (raw.length > MAX_SVIDS) throw malformed(`more than ${MAX_SVIDS} identities`);
  const bundles = readBundles(federated_bundles, readX509Authorities);
  const svids = raw.map((one, index) => {
    try {
      const svid = readSvid(one);
      bundles.set(trustDomainOf(svid.id), ownBundle(one.bundle));
      return svid;
    } catch (error) {
      throw malformed(`svids[${index}]: ${messageOf(error)}`, error);
    }
  });
  const [first, ...others] = firstOfEachHint(svids);
  if (first === undefined) throw malformed('svids is empty');
  const all: [X509Svid, ...X509Svid[]] = [first, ...others];
  return Object.freeze({ svids: Object.freeze(all), bundles, crl: Object.freeze([...crl]) });
}

/** What a FetchX509Bundles message means. @throws FinialError `data-loss` */
export function readX509BundleSet({ bundles, crl }: X509BundlesResponse__Output): X509BundleSet {
  return Object.freeze({ bundles: readMandatoryBundles(bundles, readX509Authorities), crl: Object.freeze([...crl]) });
}

function readSvid({ spiffe_id, x509_svid, x509_svid_key, hint }: X509SVID__Output): X509Svid {
  for (const [name, value] of Object.entries({ spiffe_id, x509_svid, x509_svid_key })) {
    if (value.length === 0) throw new FinialError('data-loss', `${name} is empty`);
  }
  checkHint(hint);
  const { id, chain, privateKey } = parseX509Svid(x509_svid, x509_svid_key);
  if (chain.length > MAX_CHAIN_LENGTH) {
    throw new FinialError('data-loss', `more than ${MAX_CHAIN_LENGTH} certificates`);
  }
  // SPIFFE-ID 3.2: only what is signed says who somebody is; what stands beside it must not say otherwise.
  if (parseSpiffeId(spiffe_id) !== id) throw new FinialError('data-loss', 'spiffe_id is not the ID of the certificate');
  const { notBefore, notAfter } = chain[0];
  const ders = Object.freeze(chain.map(({ der }) => der));
  return Object.freeze({ id, chain: ders, privateKey, notBefore, notAfter, hint });
}

/** Unlike those of other domains, the bundle of one's own is mandatory (SPIFFE Workload API 4.5). */
function ownBundle(ders: Buffer): readonly Buffer[] {
  if (ders.length === 0) throw new FinialError('data-loss', 'bundle is empty');
  return readX509Authorities(ders);
}

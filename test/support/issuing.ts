import type { KeyManager } from '../../plugins/key-manager/contract.ts';
import type { UpstreamAuthority } from '../../plugins/upstream-authority/contract.ts';
import { signCaRequest } from '../../plugins/upstream-authority/disk/sign-request.ts';
import type { Authorities } from '../../server/ca/authorities.ts';
import { type IssuedX509Svid, type Issuer, issuerOf, type WorkloadX509Request } from '../../server/issuance/issue.ts';
import { type Bundle, emptyBundle } from '../../spiffe/bundle/bundle.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import { signClaims } from '../../spiffe/jwt/sign.ts';
import { type VerifiedJwtSvid, verifyJwtSvid } from '../../spiffe/jwt/verify.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import { type VerifiedX509Svid, verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { countingRandom, HOUR, type Machine, newMachine, startOn, trustDomain } from './authorities.ts';
import { newRootCa } from './upstream-ca.ts';

/** The signing half of a server of `example.org` with its real authorities, and verifiers that trust its bundle. */
export interface IssuingServer {
  readonly machine: Machine;
  readonly authorities: Authorities;
  readonly issuer: Issuer;
  readonly bundle: () => Promise<Bundle>;
  readonly verifyX509: (svid: IssuedX509Svid) => Promise<VerifiedX509Svid>;
  /** For the audience `a`. */
  readonly verifyJwt: (token: string) => Promise<VerifiedJwtSvid>;
  /** A JWT that the server's own key signed, with whatever claims besides `aud` and `exp`. */
  readonly tokenOf: (claims: object) => Promise<string>;
}

export interface IssuingOptions {
  /** The trust domain of a root outside of the server that signs its CA; it signs itself otherwise. */
  readonly under?: string;
  /** Which authorities the issuer may use. */
  readonly active?: (authorities: Authorities) => Pick<Authorities, 'x509' | 'jwt'>;
}

export async function issuingServer({ under, active = (all) => all }: IssuingOptions = {}): Promise<IssuingServer> {
  const machine = newMachine();
  const { clock } = machine;
  const upstream = under === undefined ? undefined : { name: 'test', authority: await upstreamOf(under, clock.now()) };
  const authorities = await startOn(machine, { ...(upstream && { upstream }) });
  const config = { x509SvidTtl: HOUR, jwtSvidTtl: HOUR, agentTtl: HOUR, jwtIssuer: '' };
  const issuer = issuerOf({ trustDomain, config, authorities: active(authorities), clock, random: countingRandom() });
  const bundle = async (): Promise<Bundle> => (await machine.bundles.get(trustDomain)) ?? emptyBundle(trustDomain);
  return {
    machine,
    authorities,
    issuer,
    bundle,
    async verifyX509({ chain }) {
      const { x509Authorities } = await bundle();
      const roots = x509Authorities.map(({ certificate }) => certificate);
      return verifyX509Svid(chain, (of) => (of === trustDomain ? roots : undefined), clock.now());
    },
    async verifyJwt(token) {
      const { jwtAuthorities } = await bundle();
      const authoritiesOf = (of: string) => (of === trustDomain ? jwtAuthorities : undefined);
      return verifyJwtSvid(token, { audience: ['a'], authorities: authoritiesOf, now: clock.now() });
    },
    async tokenOf(claims) {
      const key = authorities.jwt.current;
      if (key === undefined) throw new Error('the server has no JWT key');
      const { keyId, signer } = key;
      const exp = Math.floor(clock.now() / 1000) + 60;
      return signClaims({ signer, keyId, type: 'JWT', claims: { aud: ['a'], exp, ...claims } });
    },
  };
}

/** What a workload asks for that has a new key. */
export async function requestFor(id: SpiffeId): Promise<WorkloadX509Request> {
  const { publicKey } = await generateSigner('ec-p256');
  return { id, publicKey, dnsNames: [], ttl: 0 };
}

/** Key managers of servers that cannot make a key. */
export const noKeys: KeyManager = {
  generateKey: () => Promise.reject(new Error('the key manager makes no keys')),
  getKey: () => Promise.resolve(undefined),
  listKeys: () => Promise.resolve([]),
};

async function upstreamOf(name: string, now: number): Promise<UpstreamAuthority> {
  const root = await newRootCa({ trustDomain: parseTrustDomain(name), now, notAfter: now + 365 * 24 * HOUR });
  const ca = { certificate: parseCertificate(root.certificate), signer: root.signer, chain: [], roots: [] };
  return {
    async mintX509Ca({ csr, preferredTtl }) {
      const minted = await signCaRequest({ csr, preferredTtl, trustDomain, now, random: countingRandom(), ca });
      return { chain: [minted], roots: once([{ certificate: root.certificate, tainted: false }]) };
    },
  };
}

async function* once<T>(value: T): AsyncIterable<T> {
  yield value;
}

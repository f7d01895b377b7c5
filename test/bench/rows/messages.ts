import { methodOf, type OutputOf, type ServiceRef } from '../../../common/rpc/service.ts';
import { createCsr } from '../../../spiffe/x509/csr.ts';
import { generateSigner } from '../../../spiffe/x509/key.ts';
import { SVID_SUBJECT } from '../../../spiffe/x509/profile.ts';
import { certificatesToPem } from '../../../spiffe/x509/pem.ts';
import type { Bundle } from '../../../spiffe/bundle/bundle.ts';
import { verifyX509Svid } from '../../../spiffe/x509/verify.ts';
import { verifyJwtSvid } from '../../../spiffe/jwt/verify.ts';
import type { Peer } from '../load/plan.ts';
import type { BenchAgent } from '../seed/api.ts';
import type { ServerUnderTest } from '../row.ts';

/** `/package.Service/Method`. */
export function pathOfMethod<D>(service: ServiceRef<D>, method: keyof D & string): string {
  return methodOf(service, method).path;
}

/** One request as bytes. */
export function encodeRequest<D>(service: ServiceRef<D>, method: keyof D & string, message: object): Buffer {
  return methodOf(service, method).requestSerialize(message);
}

/** One answer as an object. */
export function decodeAnswer<D, M extends keyof D & string>(
  service: ServiceRef<D>,
  method: M,
  bytes: Uint8Array,
): OutputOf<D[M]> {
  return methodOf(service, method).responseDeserialize(Buffer.from(bytes)) as OutputOf<D[M]>;
}

/** A CSR, and the key that its certificate must carry. */
export interface KeyedCsr {
  readonly csr: Buffer;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
}

/** So many CSRs over P-256 keys of their own; made before the load and used again and again. */
export async function keyedCsrs(count: number): Promise<readonly KeyedCsr[]> {
  const made: KeyedCsr[] = [];
  for (let n = 0; n < count; n += 1) {
    const signer = await generateSigner('ec-p256');
    made.push({ csr: await createCsr({ signer, subject: SVID_SUBJECT, uris: [] }), publicKey: signer.publicKey });
  }
  return made;
}

/** The server's TCP API, as an agent that attested. */
export function agentPeer(server: ServerUnderTest, agent: BenchAgent): Peer {
  return {
    ...serverPeer(server, agent.bundle),
    key: agent.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: certificatesToPem(agent.chain),
  };
}

/** The server's TCP API, as nobody in particular. */
export function serverPeer(
  server: Pick<ServerUnderTest, 'address'>,
  bundle: Bundle,
): { host: string; port: number; ca: string } {
  const at = server.address.lastIndexOf(':');
  return {
    host: server.address.slice(0, at).replace(/^\[(.*)\]$/, '$1'),
    port: Number(server.address.slice(at + 1)),
    ca: certificatesToPem(bundle.x509Authorities.map(({ certificate }) => certificate)),
  };
}

/** @returns what is wrong with a chain (DER, leaf first) that was issued for `csr` to be `id`; undefined when all is well */
export function judgeX509Svid(
  chain: readonly Uint8Array[],
  id: string,
  bundle: Bundle,
  csr?: KeyedCsr,
): string | undefined {
  const roots = bundle.x509Authorities.map(({ certificate }) => certificate);
  const found = verifyX509Svid(
    chain.map((der) => Buffer.from(der)),
    () => roots,
    Date.now(),
  );
  if (found.id !== id) return `an SVID for ${found.id} instead of ${id}`;
  if (csr === undefined || found.leaf.publicKey.equals(csr.publicKey)) return undefined;
  return `the SVID of ${id} is for another key than that of its CSR`;
}

/** @returns what is wrong with a JWT-SVID for the audience `bench` */
export async function judgeJwtSvid(token: string, id: string, bundle: Bundle): Promise<string | undefined> {
  const found = await verifyJwtSvid(token, {
    audience: ['bench'],
    authorities: () => bundle.jwtAuthorities,
    now: Date.now(),
  });
  return found.id === id ? undefined : `a JWT-SVID for ${found.id} instead of ${id}`;
}

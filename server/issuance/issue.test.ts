import { createPublicKey } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import { subject } from '../../common/observable.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import type { KeyType } from '../../spiffe/signer.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import { formatName } from '../../spiffe/x509/name.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import {
  countingRandom,
  HOUR,
  type Machine,
  newMachine,
  startOn,
  trustDomain,
} from '../../test/support/authorities.ts';
import type { Authorities } from '../ca/authorities.ts';
import type { JwtKeyView } from '../ca/jwt-key.ts';
import type { X509CaView } from '../ca/x509-ca.ts';
import { type IssuedX509Svid, type Issuer, type IssuerConfig, issuerOf } from './issue.ts';

const config: IssuerConfig = { x509SvidTtl: HOUR, jwtSvidTtl: 300_000, agentTtl: 2 * HOUR, jwtIssuer: '' };
const workload = parseSpiffeId('spiffe://example.org/db');

let machine: Machine;
let authorities: Authorities;
let issuer: Issuer;
let publicKey: Buffer;

beforeEach(async () => {
  machine = newMachine();
  authorities = await startOn(machine);
  issuer = issuerWith({});
  ({ publicKey } = await generateSigner('ec-p256'));
});

function issuerWith(change: Partial<IssuerConfig>, from: Pick<Authorities, 'x509' | 'jwt'> = authorities): Issuer {
  const { clock } = machine;
  return issuerOf({
    trustDomain,
    config: { ...config, ...change },
    authorities: from,
    clock,
    random: countingRandom(),
  });
}

const leafOf = ({ chain }: IssuedX509Svid) => parseCertificate(chain[0] ?? Buffer.of());

async function verify(svid: IssuedX509Svid): Promise<string> {
  const roots = (await machine.bundles.get(trustDomain))?.x509Authorities.map((one) => one.certificate);
  return verifyX509Svid(svid.chain, () => roots, machine.clock.now()).id;
}

describe('X509-SVIDs', () => {
  it("of a workload have the entry's names and lifetime", async () => {
    const svid = await issuer.workloadX509Svid({ publicKey, id: workload, dnsNames: ['db.test', 'db'], ttl: 1800 });
    const now = machine.clock.now();
    const leaf = leafOf(svid);
    expect(svid).toMatchObject({ id: workload, notBefore: now / 1000 - 10, expiresAt: now / 1000 + 1800 });
    expect(svid.serialNumber).toBe(leaf.serialNumber.toString());
    expect(leaf).toMatchObject({ uris: [workload], dnsNames: ['db.test', 'db'], publicKey, notAfter: now + 1_800_000 });
    expect(formatName(leaf.subject)).toBe('CN=db.test,O=SPIRE,C=US');
    expect(await verify(svid)).toBe(workload);
  });

  it('have the default lifetime when none is asked for', async () => {
    const svid = await issuer.workloadX509Svid({ publicKey, id: workload, dnsNames: [], ttl: 0 });
    expect(svid.expiresAt).toBe((machine.clock.now() + HOUR) / 1000);
    expect(formatName(leafOf(svid).subject)).toBe('O=SPIRE,C=US');
  });

  it('end no later than the CA', async () => {
    machine.clock.jump(machine.clock.now() + 23 * HOUR + 1000);
    const svid = await issuer.workloadX509Svid({ publicKey, id: workload, dnsNames: [], ttl: 7200 });
    expect(svid.expiresAt).toBe(authorities.x509.current?.notAfter);
    expect(await verify(svid)).toBe(workload);
  });

  it('carry the subject of the request when they are minted', async () => {
    const svid = await issuer.workloadX509Svid({
      publicKey,
      id: workload,
      dnsNames: [],
      ttl: 0,
      subject: { organization: ['Mine'], commonName: 'x' },
    });
    expect(formatName(leafOf(svid).subject)).toBe('CN=x,O=Mine');
  });

  it('of an agent have the lifetime of agents', async () => {
    const id = parseSpiffeId('spiffe://example.org/spire/agent/join_token/1');
    const svid = await issuer.agentX509Svid({ publicKey, id });
    expect(svid).toMatchObject({ id, expiresAt: (machine.clock.now() + 2 * HOUR) / 1000 });
  });

  it('of the server are for /spire/server', async () => {
    const svid = await issuer.serverX509Svid({ publicKey });
    expect(svid.expiresAt).toBe((machine.clock.now() + HOUR) / 1000);
    expect(await verify(svid)).toBe('spiffe://example.org/spire/server');
  });

  for (const keyType of ['ec-p384', 'rsa-2048'] satisfies KeyType[]) {
    it(`are signed by a CA of type ${keyType}`, async () => {
      machine = newMachine();
      authorities = await startOn(machine, { config: { caKeyType: keyType } });
      const svid = await issuerWith({}).workloadX509Svid({ publicKey, id: workload, dnsNames: [], ttl: 0 });
      expect(await verify(svid)).toBe(workload);
    });
  }

  it('never carry the same serial number twice', async () => {
    const make = () => issuer.workloadX509Svid({ publicKey, id: workload, dnsNames: [], ttl: 0 });
    const svids = await Promise.all(Array.from({ length: 20 }, make));
    expect(new Set(svids.map((one) => one.serialNumber)).size).toBe(20);
  });

  it('are refused for other trust domains, and for the trust domain itself', async () => {
    for (const id of ['spiffe://other.org/db', 'spiffe://example.org'].map((id) => parseSpiffeId(id))) {
      const svid = issuer.workloadX509Svid({ publicKey, id, dnsNames: [], ttl: 0 });
      await expect(svid).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining(`"${id}"`) });
    }
  });

  it('are refused while no CA is valid', async () => {
    const none = issuerWith({}, { ...authorities, x509: subject<X509CaView | undefined>(undefined) });
    await expect(none.serverX509Svid({ publicKey })).rejects.toThrow('X509 CA is not available for signing');
    machine.clock.jump(machine.clock.now() + 24 * HOUR);
    await expect(issuer.serverX509Svid({ publicKey })).rejects.toThrow('X509 CA is not available for signing');
  });

  it('never leave when they are not what was asked for', async () => {
    const ca = authorities.x509.current;
    if (ca === undefined) throw new Error('no CA');
    // A CA whose certificate says less than it signs with stands for whatever may go wrong on the way.
    const shorter = { ...ca, details: { ...ca.details, subject: Buffer.from('3000', 'hex') } };
    const wrong = issuerWith({}, { ...authorities, x509: subject<X509CaView | undefined>(shorter) });
    await expect(wrong.serverX509Svid({ publicKey })).rejects.toMatchObject({
      code: 'internal',
      message: 'invalid X509-SVID: issuer is not the subject of the CA',
    });
  });
});

describe('JWT-SVIDs', () => {
  it('say who, for whom and how long, and nothing else', async () => {
    const svid = await issuer.jwtSvid({ id: workload, audience: ['a', '', 'b'], ttl: 0, includeJti: false });
    const issuedAt = machine.clock.now() / 1000;
    expect(svid).toMatchObject({ id: workload, issuedAt, expiresAt: issuedAt + 300 });
    expect(decodeJwt(svid.token)).toEqual({ sub: workload, aud: ['a', 'b'], iat: issuedAt, exp: issuedAt + 300 });
    const keyId = authorities.jwt.current?.keyId;
    expect(decodeProtectedHeader(svid.token)).toEqual({ alg: 'ES256', kid: keyId, typ: 'JWT' });
  });

  it('verify with the key in the bundle', async () => {
    const { token } = await issuer.jwtSvid({ id: workload, audience: ['a'], ttl: 60, includeJti: false });
    const [authority] = (await machine.bundles.get(trustDomain))?.jwtAuthorities ?? [];
    const key = createPublicKey({ key: authority?.publicKey ?? Buffer.of(), format: 'der', type: 'spki' });
    const currentDate = new Date(machine.clock.now());
    expect((await jwtVerify(token, key, { audience: 'a', currentDate })).payload.sub).toBe(workload);
  });

  it('end no later than the key', async () => {
    machine.clock.jump(machine.clock.now() + 24 * HOUR - 30_000);
    const svid = await issuer.jwtSvid({ id: workload, audience: ['a'], ttl: 60, includeJti: false });
    expect(svid.expiresAt).toBe(authorities.jwt.current?.notAfter);
  });

  it('name the issuer where one is configured, and carry an ID of their own where asked', async () => {
    const named = issuerWith({ jwtIssuer: 'https://issuer.test' });
    const make = async () =>
      decodeJwt((await named.jwtSvid({ id: workload, audience: ['a'], ttl: 0, includeJti: true })).token);
    const [one, other] = [await make(), await make()];
    expect(one.iss).toBe('https://issuer.test');
    expect(one.jti).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(Buffer.from(one.jti ?? '', 'base64url').toString('hex')).toMatch(/^.{12}4.{3}[89ab].{15}$/);
    expect(one.jti).not.toBe(other.jti);
  });

  it('are refused without an audience, and while there is no key', async () => {
    const request = { id: workload, ttl: 0, includeJti: false };
    await expect(issuer.jwtSvid({ ...request, audience: [''] })).rejects.toThrow('audience: cannot be empty');
    const none = issuerWith({}, { ...authorities, jwt: subject<JwtKeyView | undefined>(undefined) });
    await expect(none.jwtSvid({ ...request, audience: ['a'] })).rejects.toThrow('JWT key is not available for signing');
  });
});

import https from 'node:https';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import tls from 'node:tls';
import { afterAll, describe, expect } from 'vitest';
import { fetchBundle } from '../../client/federation/fetch.ts';
import { bundleRedirect, type RequestHandler } from '../../client/federation/handler.ts';
import { type BundleServer, serveBundle, type ServeBundleOptions } from '../../client/federation/serve.ts';
import { createTestAuthority } from '../../client/testing/authority.ts';
import { createTestSource } from '../../client/testing/source.ts';
import { signJwtSvid } from '../../spiffe/jwt/sign.ts';
import { verifyJwtSvid } from '../../spiffe/jwt/verify.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { certificatesToPem } from '../../spiffe/x509/pem.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { activeIds, bundledIds, HOUR, newMachine, pass, running, startOn } from '../support/authorities.ts';
import { pemOf, watching } from '../support/bundle-endpoint.ts';
import { row } from './row.ts';

const authority = await createTestAuthority('b.test');
const id = 'spiffe://b.test/bundle';
const source = await createTestSource(authority, id, { dnsNames: ['localhost'] });
const web = { type: 'https_web', certificate: () => pemOf(source.svid) } as const;
const spiffe = { type: 'https_spiffe', source } as const;
const ca = certificatesToPem(authority.bundle.x509Authorities.map(({ certificate }) => certificate));
const servers: BundleServer[] = [];
afterAll(() => Promise.all(servers.map((server) => server.close())));

async function served(options: Partial<ServeBundleOptions> = {}, bundle = () => authority.bundle): Promise<string> {
  const server = await serveBundle(bundle, { host: 'localhost', port: 0, profile: web, ...options });
  servers.push(server);
  return `https://localhost:${server.port}/`;
}
const url = await served();
const spiffeUrl = await served({ profile: spiffe });
const webEndpoint = (at: string) => ({ trustDomain: 'b.test', url: at, profile: { type: 'https_web', ca } }) as const;
const spiffeEndpoint = (at: string) =>
  ({
    ...{ trustDomain: 'b.test', url: at },
    profile: { type: 'https_spiffe', endpointId: id, bundles: authority },
  }) as const;

/** What any HTTPS client gets that trusts the authority and shows nothing of itself. */
async function get(at: string, method = 'GET'): Promise<{ readonly response: IncomingMessage; readonly body: Buffer }> {
  const request = https.request(at, { ca, method, agent: false }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return { response, body: Buffer.concat(parts) };
}

async function statusOf(at: string, method = 'GET', wanted = 200): Promise<void> {
  const { statusCode } = (await get(at, method)).response;
  if (statusCode !== wanted) throw new Error(`status ${statusCode}`);
}

describe('Federation 4.1: rotation of what is published', () => {
  row('FED-01').shows('keys come and go, and clients follow', async () => {
    const other = await createTestAuthority('c.test');
    const svid = await createTestSource(other, 'spiffe://c.test/bundle', { dnsNames: ['localhost'] });
    const at = await served({ profile: { type: 'https_spiffe', source: svid } }, () => other.bundle);
    const profile = { type: 'https_spiffe', endpointId: svid.svid.id, bundles: other.bundle } as const;
    using w = await watching({ trustDomain: 'c.test', url: at, profile });
    const counts: number[] = [];
    w.watch.onUpdate(() => counts.push(w.watch.current.x509Authorities.length));
    await other.rotate();
    await w.passUntilFetch(300);
    await svid.renew();
    other.retire();
    await w.passUntilFetch(300);
    expect(counts).toEqual([2, 1]);
  });

  // The server's real authorities, and their bundle as an endpoint would publish it.
  row('FED-02').shows('the next root and key hours before they are used, far more than 5 x 300 s', async () => {
    const machine = newMachine();
    const authorities = await startOn(machine);
    const first = activeIds(authorities);
    await running(authorities, async () => {
      await pass(machine, 12 * HOUR + 10_000);
      const prepared = {
        x509: authorities.x509Rotation.next?.authorityId,
        jwt: authorities.jwtRotation?.next?.authorityId,
      };
      const { x509, jwt } = await bundledIds(machine);
      expect({ x509: x509[1], jwt: jwt[1] }).toEqual(prepared);
      await pass(machine, 5 * 300_000);
      expect(activeIds(authorities)).toEqual(first);
      await pass(machine, 8 * HOUR);
      expect(activeIds(authorities)).toEqual(prepared);
    });
  });

  row('FED-03')
    .shows('what signs is in the bundle, from the first moment and whenever it changes', async () => {
      const machine = newMachine();
      const authorities = await startOn(machine);
      await running(authorities, async () => {
        for (let quarter = 0; quarter < 5; quarter += 1) {
          const [{ x509, jwt }, active] = [await bundledIds(machine), activeIds(authorities)];
          expect(x509).toContain(active.x509);
          expect(jwt).toContain(active.jwt);
          await pass(machine, 5 * HOUR);
        }
      });
    })
    .refuses(
      'a token signed with a key that is not published',
      async () => {
        const [signer, now] = [await generateSigner('ec-p256'), Math.floor(Date.now() / 1000)];
        const subject = { id: parseSpiffeId('spiffe://b.test/x'), audience: ['a'] };
        const token = await signJwtSvid({ ...subject, issuedAt: now, expiresAt: now + 60, signer, keyId: 'new' });
        const authorities = () => authority.bundle.jwtAuthorities;
        await verifyJwtSvid(token, { audience: ['a'], authorities, now: Date.now() });
      },
      /public key "new" not found in trust domain/,
    );

  row('FED-04').shows('an old root until after the last SVID under it has expired, and not for ever', async () => {
    const machine = newMachine();
    const authorities = await startOn(machine);
    const first = activeIds(authorities);
    await running(authorities, async () => {
      // No SVID outlives its root, which is valid for 24 hours.
      await pass(machine, 24 * HOUR + 10_000);
      expect((await bundledIds(machine)).x509).toContain(first.x509);
      await pass(machine, 31 * HOUR);
      expect((await bundledIds(machine)).x509).not.toContain(first.x509);
    });
  });
});

describe('Federation 5: the endpoint', () => {
  row('FED-14')
    .accepts('an https_web endpoint', () => fetchBundle(webEndpoint(url)))
    .accepts('an https_spiffe endpoint', () => fetchBundle(spiffeEndpoint(spiffeUrl)));

  const handshake = async (options: tls.ConnectionOptions): Promise<tls.TLSSocket> => {
    const socket = tls.connect({ ca, host: 'localhost', port: Number(new URL(spiffeUrl).port), ...options });
    await once(socket, 'secureConnect');
    socket.destroy();
    return socket;
  };
  row('FED-15')
    .accepts('TLS 1.2', () => handshake({ maxVersion: 'TLSv1.2' }))
    .accepts('TLS 1.3', () => handshake({ minVersion: 'TLSv1.3' }))
    .refuses(
      'TLS 1.1',
      () => handshake({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }),
      /alert protocol version/,
    )
    .refuses(
      'a cipher that is not of the list',
      () => handshake({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }),
      /handshake failure/,
    );

  row('FED-22').shows('a certificate from files, also a new one', async () => {
    let current = pemOf(source.svid);
    const at = await served({ profile: { type: 'https_web', certificate: () => current } });
    await fetchBundle(webEndpoint(at));
    const another = await createTestAuthority('web.test');
    current = pemOf(await another.issueX509('spiffe://web.test/x', { dnsNames: ['localhost'] }));
    await expect(fetchBundle(webEndpoint(at))).rejects.toMatchObject({ code: 'unauthenticated' });
    const its = certificatesToPem(another.bundle.x509Authorities.map(({ certificate }) => certificate));
    await fetchBundle({ ...webEndpoint(at), profile: { type: 'https_web', ca: its } });
  });
  row('FED-23')
    .accepts('the name of the endpoint in its certificate', () => fetchBundle(webEndpoint(url)))
    .refuses(
      'another name',
      async () => {
        const svid = await authority.issueX509(id, { dnsNames: ['elsewhere.test'] });
        await fetchBundle(
          webEndpoint(await served({ profile: { type: 'https_web', certificate: () => pemOf(svid) } })),
        );
      },
      /does not match certificate's altnames/,
    );
  row('FED-24')
    .accepts('an anonymous GET by https_web', () => statusOf(url))
    .accepts('an anonymous GET by https_spiffe', () => statusOf(spiffeUrl));
  row('FED-25').shows('the bundle of this moment, which nobody may keep', async () => {
    let bundle = { ...authority.bundle, sequenceNumber: 1n };
    const at = await served({}, () => bundle);
    const sequence = async (): Promise<unknown> => JSON.parse((await get(at)).body.toString())['spiffe_sequence'];
    expect(await sequence()).toBe(1);
    bundle = { ...bundle, sequenceNumber: 2n };
    expect(await sequence()).toBe(2);
    const { headers } = (await get(at)).response;
    expect(headers).toMatchObject({ 'cache-control': 'no-cache' });
    expect(headers).not.toHaveProperty('expires');
  });
  row('FED-26').shows('UTF-8 without a byte order mark', async () => {
    const { body } = await get(url);
    expect(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)[0]).toBe('{');
  });
  row('FED-27').shows('application/json, on which clients do not insist', async () => {
    expect((await get(url)).response.headers['content-type']).toBe('application/json');
    const handler: RequestHandler = (_request, response) =>
      response.setHeader('content-type', 'text/plain').end('{"keys":[]}');
    const { bundle } = await fetchBundle(webEndpoint(await served({ handler })));
    expect(bundle.x509Authorities).toEqual([]);
  });
  row('FED-28').accepts('a redirect to another endpoint', async () => {
    await fetchBundle(webEndpoint(await served({ handler: bundleRedirect(url) })));
  });
  const location =
    (to: string): RequestHandler =>
    (_request, response) =>
      response.writeHead(302, { location: to }).end();
  row('FED-29')
    .accepts('a redirect to a valid URL', async () => {
      await fetchBundle(spiffeEndpoint(await served({ profile: spiffe, handler: bundleRedirect(spiffeUrl) })));
    })
    .refuses('to send clients to http', () => bundleRedirect('http://b.test/'), /must begin with https/)
    .refuses('to send clients to a URL with a user', () => bundleRedirect('https://u@b.test/'), /user information/)
    .refuses(
      'to be sent to http',
      async () => fetchBundle(webEndpoint(await served({ handler: location('http://localhost/') }))),
      /redirect refused: .* must begin with https/,
    )
    .refuses(
      'to be sent to a URL with a user',
      async () => fetchBundle(webEndpoint(await served({ handler: location(url.replace('//', '//u@')) }))),
      /redirect refused: .* user information/,
    );
  row('FED-30').shows('302', async () => {
    const { response } = await get(await served({ handler: bundleRedirect(url) }));
    expect(response).toMatchObject({ statusCode: 302, headers: { location: url } });
  });
  row('FED-41').shows('a certificate that is a valid X509-SVID', async () => {
    const socket = tls.connect({ ca, host: 'localhost', port: Number(new URL(spiffeUrl).port) });
    await once(socket, 'secureConnect');
    const leaf = socket.getPeerCertificate().raw;
    socket.destroy();
    expect(verifyX509Svid([leaf], (of) => authority.x509Bundles.get(of), Date.now()).id).toBe(id);
  });
  row('FED-50')
    .accepts('GET on its path', async () => {
      await statusOf(url);
      await statusOf(`${await served({ path: '/federation/bundle' })}federation/bundle`);
    })
    .refuses('another path', () => statusOf(`${url}else`), /status 404/)
    .refuses('POST', () => statusOf(url, 'POST'), /status 405/);
});

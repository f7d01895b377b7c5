import http, { type IncomingHttpHeaders } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { createTestAuthority } from '../testing/authority.ts';
import { bundleHandler, bundleRedirect, type RequestHandler } from './handler.ts';
import { serveBundle } from './serve.ts';

const open: http.Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function ask(handler: RequestHandler, path = '/', method = 'GET', sent = '') {
  const server = http.createServer(handler).listen(0, '127.0.0.1');
  open.push(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const request = http.request({ ...{ port, path, method, host: '127.0.0.1', agent: false } }).end(sent);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let body = '';
  for await (const part of response) body += String(part);
  const headers: IncomingHttpHeaders = response.headers;
  return { status: response.statusCode, headers, body };
}

const bundle = { ...emptyBundle(parseTrustDomain('b.test')), sequenceNumber: 7n, refreshHint: 9 };

describe('bundleHandler', () => {
  it('publishes sequence number and hint, and an empty list of keys', async () => {
    const { status, headers, body } = await ask(bundleHandler(() => bundle));
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-cache' });
    expect(JSON.parse(body)).toEqual({ keys: [], spiffe_sequence: 7, spiffe_refresh_hint: 9 });
  });

  it('publishes the hint of its configuration, and WIT authorities only when told to', async () => {
    const authority = await createTestAuthority('b.test');
    const uses = async (wit: boolean): Promise<unknown> => {
      const { body } = await ask(bundleHandler(() => authority.bundle, { refreshHint: 60, wit }));
      const { keys, spiffe_refresh_hint } = JSON.parse(body) as {
        keys: { use: string }[];
        spiffe_refresh_hint: number;
      };
      return [spiffe_refresh_hint, ...keys.map(({ use }) => use)];
    };
    expect(await uses(false)).toEqual([60, 'x509-svid', 'jwt-svid']);
    expect(await uses(true)).toEqual([60, 'x509-svid', 'jwt-svid', 'wit-svid']);
  });

  it.each([
    ['/', 200],
    ['/?query', 200],
    ['/else', 404],
    ['//', 404],
  ])('at / answers %s with %i', async (path, status) => {
    expect(
      (
        await ask(
          bundleHandler(() => bundle),
          path,
        )
      ).status,
    ).toBe(status);
  });

  it('can be at another path', async () => {
    const handler = bundleHandler(() => bundle, { path: '/bundle.json' });
    expect((await ask(handler, '/bundle.json')).status).toBe(200);
    expect((await ask(handler, '/')).status).toBe(404);
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'])('does not allow %s, on any path', async (method) => {
    const { status, headers } = await ask(
      bundleHandler(() => bundle),
      '/else',
      method,
      method === 'HEAD' ? '' : 'body',
    );
    expect([status, headers.allow]).toEqual([405, 'GET']);
  });

  it('tells its owner why there is no bundle, and clients only that there is none', async () => {
    const errors: string[] = [];
    const failing = bundleHandler(() => Promise.reject(new Error('secret')), {
      onError: ({ message }) => errors.push(message),
    });
    const { status, body } = await ask(failing);
    expect([status, body]).toEqual([500, '500 unable to retrieve local bundle\n']);
    expect(errors).toEqual(['secret']);
    const throwing = bundleHandler(() => {
      throw new Error('secret');
    });
    expect((await ask(throwing)).status).toBe(500);
  });
});

it('bundleRedirect sends clients elsewhere, from its path alone', async () => {
  const handler = bundleRedirect('https://c.test/bundle', { path: '/x' });
  expect(await ask(handler, '/x')).toMatchObject({ status: 302, headers: { location: 'https://c.test/bundle' } });
  expect((await ask(handler, '/')).status).toBe(404);
});

it('serveBundle says why it cannot listen, and closes once', async () => {
  const authority = await createTestAuthority('b.test');
  const svid = await authority.issueX509('spiffe://b.test/bundle');
  const options = { host: '127.0.0.1', profile: { type: 'https_spiffe', source: { svid } } } as const;
  const server = await serveBundle(() => bundle, { ...options, port: 0 });
  const second = serveBundle(() => bundle, { ...options, port: server.port });
  await expect(second).rejects.toMatchObject({ code: 'failed-precondition', message: /cannot serve the bundle/ });
  await server.close();
  await server.close();
});

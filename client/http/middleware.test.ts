import http from 'node:http';
import https from 'node:https';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { afterEach, describe, expect, it } from 'vitest';
import { FinialError, messageOf } from '../../common/errors.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { listening } from '../../test/support/loopback.ts';
import { testSource, todaysCa } from '../../test/support/tls-source.ts';
import { authorizeId } from '../authorize.ts';
import { createHttpsServer, httpsAgent } from '../tls/https.ts';
import type { AuthenticationOptions } from './authentication.ts';
import { authenticatedPeer, fastifyAuthentication, fetchAuthentication, nodeAuthentication } from './middleware.ts';

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0).toReversed()) close();
});

const FRIEND = parseSpiffeId('spiffe://a.test/friend');
/** Judges tokens by their text: `friend` and `stranger` are IDs, `away` means that nobody can be asked. */
const judge = (token: string, audience: string | readonly string[]) => {
  if (token === 'away') throw new FinialError('unavailable', 'agent is restarting');
  if (token !== 'friend' && token !== 'stranger') throw new FinialError('invalid-argument', 'token has expired');
  return { id: parseSpiffeId(`spiffe://a.test/${token}`), claims: { aud: audience } };
};
const tokens = {
  validate: async (token: string, audience: string) => judge(token, audience),
  validateLocally: async (token: string, audience: string | readonly string[]) => judge(token, audience),
} as unknown as NonNullable<AuthenticationOptions['jwt']>['source'];

type Handler = http.RequestListener;

/** The same application behind each kind of middleware. */
const FRAMEWORKS: Readonly<Record<string, (options: AuthenticationOptions) => Handler>> = {
  express(options) {
    const middleware = nodeAuthentication(options);
    return (request, response) =>
      middleware(request, response, (error) => {
        const { id, by } = error === undefined ? authenticatedPeer(request) : { id: 'error', by: messageOf(error) };
        response.end(`${id} by ${by}`);
      });
  },
  fastify(options) {
    const hook = fastifyAuthentication(options);
    const serve: (...exchange: Parameters<Handler>) => Promise<void> = async (raw, response) => {
      const reply = {
        code(status: number) {
          response.statusCode = status;
          return reply;
        },
        headers(headers: Readonly<Record<string, string>>) {
          for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
          return reply;
        },
        send: (body: string) => response.end(body),
      };
      const request = { raw };
      if ((await hook(request, reply)) === reply) return;
      const { id, by } = authenticatedPeer(request);
      response.end(`${id} by ${by}`);
    };
    return (request, response) => void serve(request, response);
  },
  hono(options) {
    const app = new Hono();
    app.use(fetchAuthentication(options));
    app.get('/', (context) => {
      const { id, by } = authenticatedPeer(context);
      return context.text(`${id} by ${by}`);
    });
    return (request, response) => void getRequestListener(app.fetch)(request, response);
  },
};

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
  readonly challenge: string | undefined;
}

function ask(
  options: http.RequestOptions,
  headers: readonly string[] = [],
  library: Pick<typeof http, 'get'> = http,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = library.get(
      { host: '127.0.0.1', path: '/', ...options, headers: [...headers, 'Host', 'a.test'] },
      (response) => {
        let body = '';
        response.on('data', (part) => (body += String(part)));
        const challenge = response.headers['www-authenticate'];
        response.on('end', () => resolve({ status: response.statusCode, body, challenge }));
      },
    );
    request.on('error', reject);
  });
}

const authorize = authorizeId(FRIEND);
const bearer = (token: string): string[] => ['Authorization', `Bearer ${token}`];

describe.each(Object.entries(FRAMEWORKS))('%s', (_name, appOf) => {
  it('lets in whoever shows a valid token, and names them', async () => {
    for (const local of [true, false]) {
      const app = appOf({ jwt: { source: tokens, audience: 'shop', local }, authorize });
      const port = await listening(http.createServer(app));
      expect(await ask({ port }, bearer('friend'))).toMatchObject({
        status: 200,
        body: 'spiffe://a.test/friend by jwt-svid',
      });
    }
  });

  it('turns away everybody else, tells them no more than that, and the operator why', async () => {
    const why: string[] = [];
    const onRefused = ({ message }: FinialError): void => void why.push(message);
    const app = appOf({ jwt: { source: tokens, audience: 'shop' }, authorize, onRefused });
    const port = await listening(http.createServer(app));
    const unauthorized = { status: 401, body: 'unauthorized\n', challenge: 'Bearer' };
    expect(await ask({ port })).toEqual(unauthorized);
    expect(await ask({ port }, bearer('expired'))).toEqual(unauthorized);
    expect(await ask({ port }, ['Authorization', 'Basic eDp5'])).toEqual(unauthorized);
    expect(await ask({ port }, [...bearer('friend'), ...bearer('stranger')])).toEqual(unauthorized);
    expect(await ask({ port }, bearer('stranger'))).toEqual({ status: 403, body: 'forbidden\n', challenge: undefined });
    expect(await ask({ port }, bearer('away'))).toMatchObject({ status: 503 });
    expect(why).toEqual([
      'request has no Authorization header',
      'token has expired',
      'Authorization header is not a bearer token',
      'request has more than one Authorization header',
      'peer spiffe://a.test/stranger is not authorized',
      'token cannot be judged: agent is restarting',
    ]);
  });

  it('takes the peer of mutual TLS, but a bad token is not mended by a good certificate', async () => {
    const ca = todaysCa();
    const web = testSource('spiffe://a.test/web', ca);
    const app = appOf({ jwt: { source: tokens, audience: 'shop' }, mtls: true, authorize });
    const server = createHttpsServer(web, { authorize: authorizeId(FRIEND, 'spiffe://a.test/x') }, app);
    const port = await listening(server);
    const toWeb = { authorize: authorizeId('spiffe://a.test/web') };
    const friend = httpsAgent(testSource(FRIEND, ca), toWeb);
    expect(await ask({ port, agent: friend }, [], https)).toMatchObject({
      body: 'spiffe://a.test/friend by x509-svid',
    });
    expect(await ask({ port, agent: friend }, bearer('expired'), https)).toMatchObject({ status: 401 });
    const other = httpsAgent(testSource('spiffe://a.test/x', ca), toWeb);
    expect(await ask({ port, agent: other }, [], https)).toMatchObject({ status: 403 });
  });

  it('knows nobody by a connection that was not verified', async () => {
    const port = await listening(http.createServer(appOf({ mtls: true, authorize })));
    expect(await ask({ port }, bearer('friend'))).toEqual({
      status: 401,
      body: 'unauthorized\n',
      challenge: undefined,
    });
  });
});

describe('authentication', () => {
  it('refuses to be set up so that it would let nobody or anybody in', () => {
    expect(() => nodeAuthentication({ authorize })).toThrow('it would let nobody in');
    expect(() => nodeAuthentication({ jwt: { source: tokens, audience: '' }, authorize })).toThrow(
      'an audience must be given',
    );
  });

  it('knows nothing of a request that no middleware looked at', () => {
    expect(() => authenticatedPeer({})).toThrow('the request was not authenticated');
  });
});

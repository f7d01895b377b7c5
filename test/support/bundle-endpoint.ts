import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { type BundleEndpoint, checkEndpoint, type EndpointProfile } from '../../client/federation/endpoint.ts';
import type { FetchRecord } from '../../client/federation/fetch.ts';
import { serveBundle } from '../../client/federation/serve.ts';
import { watchBundle, type WatchBundleOptions } from '../../client/federation/watch.ts';
import { createTestAuthority, type TestAuthority } from '../../client/testing/authority.ts';
import type { X509Svid } from '../../client/source.ts';
import { ManualClock } from '../../common/clock.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { bundleToSpiffeJson } from '../../spiffe/bundle/json.ts';
import { certificatesToPem } from '../../spiffe/x509/pem.ts';

/** One answer: a bundle, anything else as it is, silence, or half a body and the end. */
export type Answer =
  | Bundle
  | { readonly status: number; readonly location?: string; readonly body?: string; readonly encoding?: string }
  | 'silence'
  | 'break';

/** A request as it came in. */
export interface SeenRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/** A bundle endpoint on loopback over real TLS, which answers what a test wants, right or wrong. */
export interface ScriptedEndpoint extends AsyncDisposable {
  /** `https://localhost:...` */
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** The answers of the next requests; the last one repeats. */
  answer(...answers: readonly Answer[]): void;
}

/** @param svid presented to clients; with a DNS name of `localhost` it passes as a web server's certificate as well */
export async function scriptedEndpoint(svid: () => X509Svid, ...answers: readonly Answer[]): Promise<ScriptedEndpoint> {
  const requests: SeenRequest[] = [];
  let script = answers;
  let next = 0;
  const server = await serveBundle(() => Promise.reject(new Error('the handler answers')), {
    host: 'localhost',
    port: 0,
    profile: { type: 'https_web', certificate: () => pemOf(svid()) },
    handler({ method, url, headers }, response) {
      requests.push({ method, url, headers });
      const answer = script[Math.min(next, script.length - 1)];
      next += 1;
      send(response, answer ?? { status: 500 });
    },
  });
  return {
    url: `https://localhost:${server.port}/`,
    requests,
    answer(...later) {
      script = later;
      next = 0;
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

function send(response: ServerResponse, answer: Answer): void {
  if (answer === 'silence') return;
  if (answer === 'break') {
    response.writeHead(200, { 'content-length': 1000 }).write('{', () => response.destroy());
    return;
  }
  if ('trustDomain' in answer) {
    response.setHeader('content-type', 'application/json').end(bundleToSpiffeJson(answer));
    return;
  }
  if (answer.location !== undefined) response.setHeader('location', answer.location);
  if (answer.encoding !== undefined) response.setHeader('content-encoding', answer.encoding);
  response.writeHead(answer.status).end(answer.body);
}

const pems = new WeakMap<X509Svid, { readonly cert: string; readonly key: string }>();

/** The same object for the same SVID, by which servers tell a change. */
export function pemOf(svid: X509Svid) {
  const known = pems.get(svid);
  if (known !== undefined) return known;
  const key = svid.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const made = { cert: certificatesToPem(svid.chain), key };
  pems.set(svid, made);
  return made;
}

/** A trust domain that serves its own bundle by both profiles at once, as one certificate fits both. */
export interface FederatedDomain extends AsyncDisposable {
  readonly authority: TestAuthority;
  readonly endpoint: ScriptedEndpoint;
  /** The identity of its endpoint. */
  readonly endpointId: string;
  readonly web: BundleEndpoint;
  readonly spiffe: BundleEndpoint;
  /** Lets the endpoint present a new SVID under the newest root. */
  renew(): Promise<void>;
  /** What a client is configured with, one thing changed. */
  with(change: Partial<BundleEndpoint>): BundleEndpoint;
  withProfile(change: Partial<EndpointProfile>): BundleEndpoint;
}

/** @param name of the trust domain; `b.test` when absent */
export async function federatedDomain(name = 'b.test'): Promise<FederatedDomain> {
  const authority = await createTestAuthority(name);
  const endpointId = `spiffe://${name}/bundle`;
  let svid = await authority.issueX509(endpointId, { dnsNames: ['localhost'] });
  const endpoint = await scriptedEndpoint(() => svid, authority.bundle);
  const base = { trustDomain: name, url: endpoint.url };
  const ca = certificatesToPem(authority.bundle.x509Authorities.map(({ certificate }) => certificate));
  const spiffe: BundleEndpoint = { ...base, profile: { type: 'https_spiffe', endpointId, bundles: authority.bundle } };
  return {
    ...{ authority, endpoint, endpointId, spiffe },
    web: { ...base, profile: { type: 'https_web', ca } },
    async renew() {
      svid = await authority.renewX509(svid);
    },
    with: (change) => ({ ...spiffe, ...change }),
    withProfile: (change) => ({ ...spiffe, profile: { ...spiffe.profile, ...change } as EndpointProfile }),
    [Symbol.asyncDispose]: () => endpoint[Symbol.asyncDispose](),
  };
}

/** A watch on a clock that a test moves, and everything that it did. */
export async function watching(endpoint: BundleEndpoint, options: WatchBundleOptions = {}) {
  const clock = new ManualClock(Date.now());
  const fetches: FetchRecord[] = [];
  let fetched: () => void = () => undefined;
  const onFetch = (record: FetchRecord): void => {
    fetches.push(record);
    fetched();
  };
  const events: string[] = [];
  const onError = ({ code }: { readonly code: string }): void => void events.push(code);
  const watch = await watchBundle(endpoint, { clock, onFetch, onError, ...options });
  watch.onUpdate(() => events.push('update'));
  const untilFetched = async (count: number): Promise<void> => {
    while (fetches.length < count) {
      await new Promise<void>((resolve) => {
        fetched = resolve;
      });
    }
    // What follows a fetch takes no more than promises.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    ...{ watch, clock, events, fetches, untilFetched },
    /** Lets time pass in which nothing is fetched, and then a moment more, in which something is. */
    async passUntilFetch(seconds: number): Promise<void> {
      const before = fetches.length;
      await clock.advance(seconds * 1000 - 1);
      if (fetches.length !== before) throw new Error('fetched too early');
      await clock.advance(1);
      await untilFetched(before + 1);
    },
    [Symbol.dispose]: () => watch.close(),
  };
}

/** The parameters of an endpoint as they come from a configuration, where something may be missing. */
export function checkParameters(parameters: unknown): void {
  checkEndpoint(parameters as BundleEndpoint);
}

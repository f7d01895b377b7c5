import { type WorkloadApi, workloadApi } from '../../client/workload-api.ts';
import { type FinialError, messageOf } from '../../common/errors.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import type { Random } from '../fuzz/random.ts';
import { pause } from './admin.ts';
import { type Site, TRUST_DOMAIN } from './processes.ts';
import { judgedAt, type Sightings } from './sightings.ts';

/** The identity whose SVID shows the last change: a DNS name that is a number. */
export const CANARY = '/canary';

/** What workloads need. */
export interface WorkloadContext {
  readonly site: Pick<Site, 'agentSocket'>;
  readonly sightings: Sightings;
  readonly random: Random;
  readonly report: (finding: string) => void;
  readonly signal: AbortSignal;
}

/** Everything that calls the Workload API. */
export interface Workloads {
  /** Each stream, and what it saw last. */
  readonly streams: readonly Stream[];
  /** Runs until `signal` aborts. */
  run(): Promise<void>;
  readonly fetches: number;
}

/** A stream that is open from the beginning to the end. */
export interface Stream {
  readonly name: string;
  /** Unix milliseconds of the last update; 0 before the first. */
  readonly updatedAt: number;
  /** How often it was told something. */
  readonly updates: number;
  /** The canary's number in the last update; -1 in streams of bundles. */
  readonly canary: number;
  /** When what it holds ends, Unix milliseconds; infinite in streams of bundles. */
  readonly heldUntil: number;
  /** The IDs of the roots and keys that it was told of. */
  readonly authorities: number;
}

/**
 * @param want the canary's number that streams of SVIDs must have seen, and the moment since when each must have spoken
 * @returns a stream that has not resumed
 */
export function lateStream(
  streams: readonly Stream[],
  want: { readonly canary: number; readonly since: number },
): Stream | undefined {
  const isLate = ({ canary, updatedAt }: Stream): boolean =>
    updatedAt < want.since || (canary !== -1 && canary < want.canary);
  return streams.find(isLate);
}

type MutableStream = { -readonly [Name in keyof Stream]: Stream[Name] };

const STREAMS = 3;
const own = parseTrustDomain(TRUST_DOMAIN);

export function newWorkloads(context: WorkloadContext): Workloads {
  const { site, signal, report } = context;
  const streams: MutableStream[] = [];
  const tasks: (() => Promise<void>)[] = [];
  let fetches = 0;
  const open = (name: string, follow: (api: WorkloadApi, stream: MutableStream) => Promise<void>): void => {
    const stream = { name, updatedAt: 0, updates: 0, canary: -1, heldUntil: Infinity, authorities: 0 };
    streams.push(stream);
    tasks.push(async () => {
      using api = workloadApi({ address: `unix://${site.agentSocket}`, backoff: BACKOFF });
      await follow(api, stream);
      if (!signal.aborted) report(`${name}: the stream ended for good`);
    });
  };
  const seen = (stream: MutableStream, authorities: number): void => {
    stream.updatedAt = Date.now();
    stream.updates += 1;
    if (authorities < stream.authorities) report(`lost: ${stream.name}: an authority went from the bundle`);
    stream.authorities = authorities;
  };
  /** An agent that is away or not ready is no finding; what it says is. */
  const onError =
    (name: string) =>
    ({ code, message }: FinialError): void => {
      if (code === 'data-loss') report(`${name}: ${message}`);
    };
  for (let index = 0; index < STREAMS; index += 1) {
    open(`X.509 stream ${index}`, (api, stream) =>
      api.x509.follow(
        {
          onError: onError(stream.name),
          onUpdate({ svids, bundles }) {
            const roots = bundles.get(own) ?? [];
            seen(stream, roots.length);
            for (const { id, chain, notAfter } of svids) {
              for (const finding of context.sightings.x509(stream.name, chain, seenAt(notAfter), roots))
                report(finding);
              if (id !== `spiffe://${TRUST_DOMAIN}${CANARY}`) continue;
              stream.canary = canaryOf(chain[0]);
              stream.heldUntil = notAfter;
            }
          },
        },
        { signal },
      ),
    );
  }
  open('stream of X.509 bundles', (api, stream) =>
    api.x509Bundles.follow(
      { onError: onError(stream.name), onUpdate: ({ bundles }) => seen(stream, bundles.get(own)?.length ?? 0) },
      { signal },
    ),
  );
  open('stream of JWT bundles', (api, stream) =>
    api.jwtBundles.follow(
      { onError: onError(stream.name), onUpdate: (bundles) => seen(stream, bundles.get(own)?.length ?? 0) },
      { signal },
    ),
  );
  tasks.push(() => runCalls(context, () => void (fetches += 1)));
  return {
    streams,
    get fetches() {
      return fetches;
    },
    run: async () => void (await Promise.all(tasks.map((task) => task()))),
  };
}

/** While the server is away an agent hands out what it has; whether that went on for too long is judged elsewhere. */
function seenAt(notAfter: number): number {
  return Math.min(Date.now(), notAfter);
}

/** As a workload that cares would: back soon. */
const BACKOFF = { initial: 50, factor: 1.5, max: 500, jitter: 0.2 };

/** The DNS name of the canary is its number. */
function canaryOf(leaf: Buffer | undefined): number {
  if (leaf === undefined) return -1;
  const [name = ''] = parseCertificate(leaf).dnsNames ?? [];
  return Number(/^c(\d+)\./.exec(name)?.[1] ?? -1);
}

export function canaryName(number: number): string {
  return `c${number}.example.org`;
}

/** Calls one after the other, on connections of their own. */
async function runCalls(context: WorkloadContext, count: () => void): Promise<void> {
  const { random, report, sightings, signal, site } = context;
  const own = `spiffe://${TRUST_DOMAIN}`;
  while (!signal.aborted) {
    using api = workloadApi({ address: `unix://${site.agentSocket}`, backoff: BACKOFF });
    try {
      for (let call = 0; call < 5 && !signal.aborted; call += 1) {
        if (random.oneIn(2)) {
          const { svids, bundles } = await api.x509.fetch({ signal });
          const roots = bundles.get(parseTrustDomain(TRUST_DOMAIN)) ?? [];
          for (const { chain, notAfter } of svids) {
            for (const finding of sightings.x509('fetch', chain, seenAt(notAfter), roots)) report(finding);
          }
        } else {
          const audience = `audience-${random.int(50)}`;
          const asked = Date.now();
          const tokens = await api.fetchJwtSvids({ audience: [audience] }, { signal });
          for (const { expiresAt, id, token } of tokens) {
            if (!id.startsWith(own)) report('fetch: a JWT-SVID of another trust domain');
            sightings.jwt('fetch', token, audience, judgedAt(asked, expiresAt - 1000));
          }
        }
        count();
        await pause(random.int(60));
      }
    } catch (error) {
      if (messageOf(error).includes('doubled')) report(messageOf(error));
      await pause(50);
    }
  }
}

import { type WorkloadApi, workloadApi, type WorkloadApiOptions } from '../../client/workload-api.ts';
import { createX509Source, type X509SourceOptions } from '../../client/x509-source.ts';
import type { Clock } from '../../common/clock.ts';
import { FinialError } from '../../common/errors.ts';
import type { ServerStreamHandler } from '../../common/rpc/call.ts';
import { implement, serverStream, type ServiceHandlers } from '../../common/rpc/service.ts';
import { workloadService } from '../../common/rpc/services.ts';
import type { SpiffeWorkloadAPIDefinition } from '../../proto/gen/workload/SpiffeWorkloadAPI.ts';
import type { X509SVID } from '../../proto/gen/workload/X509SVID.ts';
import type { X509SVIDResponse } from '../../proto/gen/workload/X509SVIDResponse.ts';
import { issueCa, issueSvid, type TestCertificate } from './pki.ts';
import { deferred, rpcPair } from './rpc-pair.ts';

/** A call as it came in. */
export interface SeenCall {
  readonly method: string;
  /** The values of the security header. */
  readonly header: readonly string[] | undefined;
}

/** An agent that says what a test wants, right or wrong, and our client connected to it over a real socket. */
export interface ScriptedAgent extends AsyncDisposable {
  readonly api: WorkloadApi;
  readonly address: string;
  readonly clock: ImpatientClock;
  /** Every call of a method with a handler, in order. */
  readonly calls: readonly SeenCall[];
}

export type WorkloadHandlers = Partial<ServiceHandlers<SpiffeWorkloadAPIDefinition>>;

/** @param handlers methods without one answer `unimplemented` */
export async function scriptedAgent(
  handlers: WorkloadHandlers,
  options: Partial<WorkloadApiOptions> = {},
): Promise<ScriptedAgent> {
  const calls: SeenCall[] = [];
  const pair = await rpcPair([implement(workloadService(), handlers)], {
    interceptors: [
      async ({ method, metadata }) => {
        calls.push({ method, header: metadata.get('workload.spiffe.io') });
        return undefined;
      },
    ],
  });
  const address = `unix://${pair.socketPath}`;
  const clock = impatientClock();
  const api = workloadApi({ address, clock, random: () => 0.5, ...options });
  return {
    ...{ api, address, clock, calls },
    async [Symbol.asyncDispose]() {
      api.close();
      await pair.close();
    },
  };
}

/** One thing that a stream does: says a message, waits, fails, or ends well. After the last one it stays open. */
export type Step<Message> = Message | Promise<void> | FinialError | 'OK';

/** A stream method whose n-th call takes the n-th part; the last one repeats. */
export function scriptedStream<Request, Response extends object>(
  ...parts: readonly (readonly Step<Response>[])[]
): { readonly kind: 'server-stream'; readonly serverStream: ServerStreamHandler<Request, Response> } {
  let call = 0;
  return serverStream(async function* (_request: Request, { signal }) {
    call += 1;
    for (const step of parts[Math.min(call, parts.length) - 1] ?? []) {
      if (step === 'OK') return;
      if (step instanceof FinialError) throw step;
      if (step instanceof Promise) await step;
      else yield step;
    }
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  });
}

/** Backs off in no time, but remembers for how long it should have. What waits for the first message waits for ever. */
export interface ImpatientClock extends Clock {
  readonly waits: readonly number[];
}

/** What is shorter is a wait between two attempts, as these tests make few of them. */
const LONG_MS = 5000;

/** @param now Unix ms; SVIDs of these tests are valid then */
export function impatientClock(now: () => number = Date.now): ImpatientClock {
  const waits: number[] = [];
  return {
    waits,
    now,
    steady: () => 0,
    sleep(ms, signal) {
      if (ms < LONG_MS && signal?.aborted !== true) {
        waits.push(ms);
        return Promise.resolve();
      }
      return new Promise((_resolve, reject) => {
        const abort = (): void => reject(new Error('aborted'));
        if (signal?.aborted) abort();
        else signal?.addEventListener('abort', abort, { once: true });
      });
    },
  };
}

const HOUR_MS = 3_600_000;

/** Of certificates that are valid at this moment. */
export function validity(): { readonly notBefore: number; readonly notAfter: number } {
  return { notBefore: Date.now() - HOUR_MS, notAfter: Date.now() + HOUR_MS };
}

export function currentCa(): TestCertificate {
  return issueCa(undefined, validity());
}

/** An entry of `svids` that is right in every way, except where `more` says otherwise. */
export function x509Svid(ca: TestCertificate, id: string, more: Partial<X509SVID> = {}): X509SVID {
  const leaf = issueSvid(ca, id, validity());
  const x509_svid_key = leaf.key.privateKey.export({ type: 'pkcs8', format: 'der' });
  return { spiffe_id: id, x509_svid: leaf.der, x509_svid_key, bundle: ca.der, hint: '', ...more };
}

/** Bundles of so many foreign trust domains, keyed as the standard wants. */
export function foreignBundles(count: number, ca: TestCertificate): Record<string, Buffer> {
  return Object.fromEntries(Array.from({ length: count }, (_none, index) => [`spiffe://td${index}.test`, ca.der]));
}

/**
 * A source whose agent plays the first steps on its first stream, each when it is told to, and `later` on the next ones.
 * A message must come first.
 */
export async function scriptedX509Source(
  [first, ...more]: readonly [X509SVIDResponse, ...Step<X509SVIDResponse>[]],
  later: readonly Step<X509SVIDResponse>[] = [],
  options: X509SourceOptions = {},
) {
  const gates = more.map(() => deferred());
  const gated = more.flatMap((step, index) => [gates[index]?.promise ?? Promise.resolve(), step]);
  const agent = await scriptedAgent({ FetchX509SVID: scriptedStream([first, ...gated], later) });
  const events: string[] = [];
  let happened = deferred();
  const note = (what: string): void => {
    events.push(what);
    happened.resolve();
  };
  const onError = ({ code }: FinialError): void => note(code);
  const source = await createX509Source({ api: agent.api, clock: agent.clock, onError, ...options });
  source.onUpdate(() => note('update'));
  return {
    ...{ agent, events, source },
    /** Lets the agent take its next step, and waits until the source heard of it. */
    async step() {
      happened = deferred();
      gates.shift()?.resolve();
      await happened.promise;
    },
    async [Symbol.asyncDispose]() {
      source.close();
      await agent[Symbol.asyncDispose]();
    },
  };
}

import { parseEndpoint } from '../../../client/endpoint.ts';
import { fetchBundle } from '../../../client/federation/fetch.ts';
import { createX509Source, type X509Source } from '../../../client/x509-source.ts';
import { type ErrorCode, FinialError, toFinialError } from '../../../common/errors.ts';
import { workloadService } from '../../../common/rpc/services.ts';
import type { X509SVIDResponse } from '../../../proto/gen/workload/X509SVIDResponse.ts';
import {
  currentCa,
  foreignBundles,
  scriptedAgent,
  scriptedStream,
  type Step,
  x509Svid,
} from '../../support/scripted-agent.ts';
import { type Answer, federatedDomain, watching } from '../../support/bundle-endpoint.ts';
import { workloadApiFixture } from '../../support/workload-api.ts';
import { deferred } from '../../support/rpc-pair.ts';

/** What a scripted stream does: gives an identity with so many federated bundles, or ends with this code. */
type ScriptStep = { readonly federated: number } | 'no svids' | 'OK' | ErrorCode;

type Input =
  | { readonly address: string; readonly hostNames?: boolean }
  | { readonly header: string | null }
  | { readonly streams: readonly (readonly ScriptStep[])[]; readonly updates: number }
  | FederationInput;

/** A bundle endpoint: what it answers, or the sequence numbers that it serves one after the other. */
interface FederationInput {
  readonly federation: 'web' | 'spiffe';
  readonly sequences?: readonly number[];
  readonly answer?: Answer;
  /** Who the endpoint has to be, if not who it is. */
  readonly endpointId?: string;
}

/** @returns the endpoint; nothing; or what a source of ours went through */
export function run(input: Input): unknown {
  if ('address' in input) return parseEndpoint(input.address, { hostNames: input.hostNames ?? false });
  if ('header' in input) return callAgent(input.header);
  if ('federation' in input) return askEndpoint(input);
  return followScript(input);
}

/** Fetches from a bundle endpoint of another trust domain, or watches it through every sequence number. */
async function askEndpoint({ federation, sequences, answer, endpointId }: FederationInput): Promise<unknown> {
  await using domain = await federatedDomain();
  if (answer !== undefined) domain.endpoint.answer(answer);
  if (sequences === undefined) {
    const endpoint = endpointId === undefined ? domain[federation] : domain.withProfile({ endpointId });
    return await fetchBundle(endpoint);
  }
  const { bundle } = domain.authority;
  domain.endpoint.answer(...sequences.map((one) => ({ ...bundle, sequenceNumber: BigInt(one) })));
  using watched = await watching(domain[federation]);
  for (const _later of sequences.slice(1)) await watched.passUntilFetch(300);
  return { sequence: String(watched.watch.current.sequenceNumber), events: watched.events };
}

/** Calls our agent: a stream and a single call, which both must be refused alike. */
async function callAgent(header: string | null): Promise<void> {
  const agent = await workloadApiFixture();
  const metadata = header === null ? undefined : { 'workload.spiffe.io': header };
  const stream = agent.channel.serverStream(workloadService(), 'FetchX509SVID', {}, { metadata, timeoutMs: 5000 });
  const call = agent.channel.call(workloadService(), 'FetchJWTSVID', { audience: ['a'] }, { metadata });
  const ends = await Promise.allSettled([stream[Symbol.asyncIterator]().next(), call]);
  await agent.close();
  const told = ends.map((end) => (end.status === 'rejected' ? described(end.reason) : 'answered'));
  throw new Error(told[0] === told[1] ? told[0] : told.join(', but '));
}

/** Follows a scripted agent with a source of ours. Each step waits until the one before had its effect. */
async function followScript({ streams, updates }: { streams: readonly (readonly ScriptStep[])[]; updates: number }) {
  const turns = streams.flat().map(() => deferred());
  let turn = 0;
  const nextStep = (): void => {
    turns[turn]?.resolve();
    turn += 1;
  };
  const ca = currentCa();
  let step = 0;
  const parts = streams.map((part) =>
    part.flatMap((one): Step<X509SVIDResponse>[] => {
      const allowed = turns[step]?.promise ?? Promise.resolve();
      step += 1;
      return [allowed, message(one, ca)];
    }),
  );
  await using agent = await scriptedAgent({ FetchX509SVID: scriptedStream(...parts) });
  const seen: string[] = [];
  let source: X509Source | undefined;
  const federated = (): string => `${(source?.x509Bundles.size ?? 0) - 1} federated`;
  const enough = deferred();
  const see = (what: string): void => {
    seen.push(what);
    if (seen.filter((one) => /^\d/.test(one)).length === updates) enough.resolve();
    nextStep();
  };
  nextStep();
  try {
    source = await createX509Source({
      api: agent.api,
      clock: agent.clock,
      onError: ({ code }) => see(source === undefined ? code : `${code}, still ${federated()}`),
    });
  } catch (error) {
    throw new Error(`${toFinialError(error).code} after ${agent.calls.length} call`, { cause: error });
  }
  source.onUpdate(() => see(federated()));
  see(federated());
  await enough.promise;
  const held = federated();
  source.close();
  return { calls: agent.calls.length, seen, held };
}

function message(step: ScriptStep, ca: ReturnType<typeof currentCa>): Step<X509SVIDResponse> {
  if (step === 'OK') return step;
  if (step === 'no svids') return { svids: [] };
  if (typeof step === 'string') return new FinialError(step, 'scripted');
  const svids = [x509Svid(ca, 'spiffe://example.org/w')];
  return { svids, federated_bundles: foreignBundles(step.federated, ca) };
}

function described(error: unknown): string {
  const { code, message: text } = toFinialError(error);
  return `${code}: ${text}`;
}

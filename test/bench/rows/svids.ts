import { randomUUID } from 'node:crypto';
import { svidService } from '../../../common/rpc/services.ts';
import { spiffeId, type SpiffeId } from '../../../spiffe/id.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import type { LoadPlan } from '../load/plan.ts';
import { type Judge, measureLoad } from '../measure.ts';
import type { Bench, Row, ServerUnderTest } from '../row.ts';
import { type BenchAgent, createEntries } from '../seed/api.ts';
import type { SeedEntry } from '../seed/entries.ts';
import {
  agentPeer,
  decodeAnswer,
  encodeRequest,
  judgeJwtSvid,
  judgeX509Svid,
  keyedCsrs,
  pathOfMethod,
} from './messages.ts';
import { PATIENCE_MS } from './self.ts';

/** Entries of the agent that calls; a batch asks for each of them before it asks for one again. */
const ENTRIES = 50;
/** So many CSRs are in the requests of a row altogether, each made and signed beforehand and sent many times. */
const CSRS = 1000;
const BATCHES = [1, 10, 50, 500] as const;
const CONNECTIONS = [1, 8, 64] as const;
/** Calls open at a time, all connections together: enough that the server is never idle. */
const OPEN_CALLS = 64;
const OPEN_BATCHES = 8;

/** An agent and the entries that it may have, which the server knows of. */
interface Caller {
  readonly server: ServerUnderTest;
  readonly agent: BenchAgent;
  readonly entries: readonly SeedEntry[];
}

/** Made once for each server, as rows share it. */
const callers = new WeakMap<ServerUnderTest, Caller>();

async function callerOf(bench: Bench): Promise<Caller> {
  const server = await bench.server(0);
  const known = callers.get(server);
  if (known !== undefined) return known;
  const agent = await server.agent(0);
  const entries = entriesBelow(agent.id, agent.bundle.trustDomain);
  await createEntries(server.admin, entries);
  const caller = { server, agent, entries };
  await untilAuthorized(caller);
  callers.set(server, caller);
  return caller;
}

/** IDs never used before: a server that runs already may hold those of an earlier run, below an agent that is gone. */
function entriesBelow(parentId: SpiffeId, trustDomain: string): SeedEntry[] {
  const domain = parseTrustDomain(trustDomain);
  return Array.from({ length: ENTRIES }, (_, n) => ({
    id: `be9c5f1d${randomUUID().slice(8)}`,
    spiffeId: spiffeId(domain, `/bench/workload-${n}`),
    parentId,
    selectors: [{ type: 'bench', value: `n:${n}` }],
    dnsNames: [],
  }));
}

/**
 * Servers take up entries with their next look at them.
 *
 * @throws Error with the server's last word when it takes too long
 */
async function untilAuthorized(caller: Caller): Promise<void> {
  const giveUp = Date.now() + PATIENCE_MS;
  const [csr] = await keyedCsrs(1);
  const entry = caller.entries.at(-1);
  for (;;) {
    const request = encodeRequest(svidService(), 'BatchNewX509SVID', {
      params: [{ entry_id: entry?.id, csr: csr?.csr }],
    });
    const plan = {
      ...planOf(caller, 'BatchNewX509SVID', [request], 1, 1),
      warmUpSeconds: 0,
      seconds: 0.05,
      sampleEvery: 1,
    };
    const { verified, wrong, failures } = await measureLoad(processOf(caller), [plan], ({ answer }) => {
      const { results } = decodeAnswer(svidService(), 'BatchNewX509SVID', answer);
      const { status } = results[0] ?? {};
      return status?.code === 0 ? undefined : `${status?.code}: ${status?.message}`;
    });
    if (verified > 0 && wrong.length === 0) return;
    if (Date.now() < giveUp) continue;
    const last = wrong[0] ?? Object.keys(failures)[0] ?? 'no answer';
    throw new Error(`the server signs nothing for an entry made ${PATIENCE_MS} ms ago: ${last}`);
  }
}

function processOf({ server }: Caller): { readonly pid: number; readonly socketPath: string } {
  return { pid: server.pid, socketPath: server.adminSocket };
}

function planOf(
  { server, agent }: Caller,
  method: 'BatchNewX509SVID' | 'NewJWTSVID',
  requests: readonly Buffer[],
  connections: number,
  open: number,
): Omit<LoadPlan, 'seconds' | 'warmUpSeconds' | 'sampleEvery'> {
  const concurrency = Math.max(1, Math.floor(open / connections));
  const path = pathOfMethod(svidService(), method);
  return { peers: [agentPeer(server, agent)], connections, concurrency, path, requests };
}

function x509Row(batch: number, connections: number): Row {
  return {
    name: `x509-svid-${batch}-per-call-${connections}-conns`,
    what: 'an X.509-SVID signed for a CSR, BatchNewX509SVID over mutual TLS',
    needs: 'server',
    async run(bench) {
      const caller = await callerOf(bench);
      const csrs = await keyedCsrs(Math.max(batch, Math.ceil(CSRS / bench.shrink)));
      const calls = Array.from({ length: Math.max(1, Math.floor(csrs.length / batch)) }, (_, call) =>
        Array.from({ length: batch }, (_, n) => ({ csr: csrs[call * batch + n], entry: caller.entries[n % ENTRIES] })),
      );
      const requests = calls.map((items) =>
        encodeRequest(svidService(), 'BatchNewX509SVID', {
          params: items.map(({ csr, entry }) => ({ entry_id: entry?.id, csr: csr?.csr })),
        }),
      );
      const judge: Judge = ({ request, answer }) => {
        const { results } = decodeAnswer(svidService(), 'BatchNewX509SVID', answer);
        const items = calls[request] ?? [];
        if (results.length !== items.length) return `${results.length} results for ${items.length} CSRs`;
        return items
          .map(({ csr, entry }, n) => {
            const { status, svid } = results[n] ?? {};
            if (status?.code !== 0) return `status ${status?.code}: ${status?.message}`;
            return judgeX509Svid(svid?.cert_chain ?? [], entry?.spiffeId ?? '', caller.agent.bundle, csr);
          })
          .find((finding) => finding !== undefined);
      };
      const open = batch < 50 ? OPEN_CALLS : OPEN_BATCHES;
      const lines = Math.ceil(connections / Math.min(bench.shrink, 16));
      const plan = planOf(caller, 'BatchNewX509SVID', requests, lines, Math.ceil(open / Math.min(bench.shrink, 8)));
      return measureLoad(processOf(caller), [{ ...plan, ...windowOf(bench, batch < 50 ? 500 : 50) }], judge, batch);
    },
  };
}

/** How long is measured, and how many answers are looked at. */
export function windowOf(
  bench: Bench,
  sampleEvery: number,
): Pick<LoadPlan, 'seconds' | 'warmUpSeconds' | 'sampleEvery'> {
  return {
    seconds: bench.seconds,
    warmUpSeconds: bench.seconds / 2,
    sampleEvery: Math.ceil(sampleEvery / bench.shrink),
  };
}

function jwtRow(connections: number): Row {
  return {
    name: `jwt-svid-${connections}-conns`,
    what: 'a JWT-SVID, NewJWTSVID over mutual TLS',
    needs: 'server',
    async run(bench) {
      const caller = await callerOf(bench);
      const requests = caller.entries.map(({ id }) =>
        encodeRequest(svidService(), 'NewJWTSVID', { entry_id: id, audience: ['bench'] }),
      );
      const judge: Judge = ({ request, answer }) => {
        const { svid } = decodeAnswer(svidService(), 'NewJWTSVID', answer);
        return judgeJwtSvid(svid?.token ?? '', caller.entries[request]?.spiffeId ?? '', caller.agent.bundle);
      };
      const plan = planOf(caller, 'NewJWTSVID', requests, connections, OPEN_CALLS);
      return measureLoad(processOf(caller), [{ ...plan, ...windowOf(bench, 500) }], judge);
    },
  };
}

export const svidRows: readonly Row[] = [
  ...BATCHES.flatMap((batch) => CONNECTIONS.map((connections) => x509Row(batch, connections))),
  ...CONNECTIONS.map(jwtRow),
];

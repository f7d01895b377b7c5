import { setTimeout as sleep } from 'node:timers/promises';
import { workloadService } from '../../../common/rpc/services.ts';
import type { Bundle } from '../../../spiffe/bundle/bundle.ts';
import { spiffeId, type SpiffeId } from '../../../spiffe/id.ts';
import { splitCertificates } from '../../../spiffe/x509/certificate.ts';
import { callBlock, framed } from '../load/connection.ts';
import { connectPeer } from '../load/run.ts';
import { type Judge, measureLoad } from '../measure.ts';
import type { AgentUnderTest, Bench, Row } from '../row.ts';
import { createEntries, serverBundle } from '../seed/api.ts';
import { decodeAnswer, encodeRequest, judgeJwtSvid, judgeX509Svid, pathOfMethod } from './messages.ts';
import { windowOf } from './svids.ts';

const CALLERS = [1, 100, 1000] as const;
const PATIENCE_MS = 60_000;

/** The bench's own process as a workload: its identity below each agent that may be the one asked. */
export interface Workload {
  readonly agent: AgentUnderTest;
  readonly id: SpiffeId;
  readonly bundle: Bundle;
}

/** Registers this process by its user and waits until the agent has its SVID. */
export async function workloadOf(bench: Bench): Promise<Workload> {
  const agent = await bench.agent();
  const bundle = await serverBundle(agent.server.admin);
  const id = spiffeId(bundle.trustDomain, '/bench/self');
  const selectors = [{ type: 'unix', value: `uid:${process.geteuid?.() ?? 0}` }];
  await createEntries(
    agent.server.admin,
    agent.ids.map((parentId, n) => ({
      ...{ id: `be9c0001-0000-4000-8000-${String(n).padStart(12, '0')}`, spiffeId: id, selectors, dnsNames: [] },
      parentId: parentId as SpiffeId,
    })),
  );
  const giveUp = Date.now() + PATIENCE_MS;
  while ((await firstAnswer(agent.socketPath, 'FetchX509SVID', {})) === undefined) {
    if (Date.now() > giveUp) throw new Error(`the agent gave no SVID for ${id} within ${PATIENCE_MS} ms`);
    await sleep(50);
  }
  return { agent, id, bundle };
}

type Method = 'FetchX509SVID' | 'FetchJWTSVID' | 'ValidateJWTSVID';

/** The first message of an answer; undefined when the call failed before one came. */
async function firstAnswer(socketPath: string, method: Method, message: object): Promise<Buffer | undefined> {
  const connection = await connectPeer({ socketPath });
  try {
    return await new Promise((resolve) => {
      const block = callBlock(pathOfMethod(workloadService(), method), 'http');
      connection.call(block, framed(encodeRequest(workloadService(), method, message)), {
        message: (bytes) => resolve(Buffer.from(bytes)),
        end: () => resolve(undefined),
      });
    });
  } finally {
    connection.close();
  }
}

/** Each caller on a connection of its own, one call at a time, attested by the agent each time. */
function workloadRow(
  name: string,
  what: string,
  method: Method,
  callers: number,
  prepare: (workload: Workload) => Promise<{ readonly request: object; readonly judge: Judge }>,
): Row {
  return {
    name: `${name}-${callers}-callers`,
    what,
    needs: 'agent',
    async run(bench) {
      const workload = await workloadOf(bench);
      const { request, judge } = await prepare(workload);
      const { socketPath, pid } = workload.agent;
      const plan = {
        peers: [{ socketPath }],
        connections: Math.max(1, Math.floor(callers / Math.min(bench.shrink, 10))),
        concurrency: 1,
        path: pathOfMethod(workloadService(), method),
        requests: [encodeRequest(workloadService(), method, request)],
        firstMessage: method === 'FetchX509SVID',
        ...windowOf(bench, 200),
      };
      return measureLoad({ pid, socketPath }, [plan], judge);
    },
  };
}

const x509Row = (callers: number): Row =>
  workloadRow(
    'fetch-x509-svid',
    'FetchX509SVID on a warm connection up to the first update, which is then cancelled',
    'FetchX509SVID',
    callers,
    async ({ id, bundle }) => ({
      request: {},
      judge({ answer }) {
        const { svids } = decodeAnswer(workloadService(), 'FetchX509SVID', answer);
        const own = svids.find(({ spiffe_id: found }) => found === id);
        if (own === undefined) return `no SVID for ${id}`;
        return judgeX509Svid(splitCertificates(own.x509_svid), id, bundle);
      },
    }),
  );

const jwtRow = (callers: number): Row =>
  workloadRow(
    'fetch-jwt-svid',
    'FetchJWTSVID for one audience on a warm connection',
    'FetchJWTSVID',
    callers,
    async ({ id, bundle }) => ({
      request: { audience: ['bench'], spiffe_id: id },
      judge: ({ answer }) =>
        judgeJwtSvid(decodeAnswer(workloadService(), 'FetchJWTSVID', answer).svids[0]?.svid ?? '', id, bundle),
    }),
  );

const validateRow = (callers: number): Row =>
  workloadRow(
    'validate-jwt-svid',
    'ValidateJWTSVID of one token on a warm connection',
    'ValidateJWTSVID',
    callers,
    async ({ agent, id }) => {
      const fetched = await firstAnswer(agent.socketPath, 'FetchJWTSVID', { audience: ['bench'], spiffe_id: id });
      const token = fetched && decodeAnswer(workloadService(), 'FetchJWTSVID', fetched).svids[0]?.svid;
      if (token === undefined) throw new Error('the agent gave no JWT-SVID');
      return {
        request: { audience: 'bench', svid: token },
        judge({ answer }) {
          const { spiffe_id: found, claims } = decodeAnswer(workloadService(), 'ValidateJWTSVID', answer);
          return found === id && claims !== null ? undefined : `validated as ${found}`;
        },
      };
    },
  );

export const workloadRows: readonly Row[] = [x509Row, jwtRow, validateRow].flatMap((row) => CALLERS.map(row));

import { workloadService } from '../../../common/rpc/services.ts';
import { type Judge, measureLoad } from '../measure.ts';
import type { AgentUnderTest, Bench, Row } from '../row.ts';
import { decodeAnswer, encodeRequest, judgeJwtSvid, pathOfMethod } from './messages.ts';
import { firstAnswer, judgeUpdate, registerSelf, type SelfIdentity, untilServed, type WorkloadMethod } from './self.ts';
import { windowOf } from './svids.ts';

const CALLERS = [1, 100, 1000] as const;
/** Callers at a fixed rate, well below what the agents of either product saturate at on a core. */
const PACED = { callers: 100, perCaller: 5 } as const;
/** One answer in so many is verified. */
const SAMPLE_EVERY = 200;
const AUDIENCE = 'bench';

/** The bench's own process as a workload of the agent that is measured. */
interface Workload extends SelfIdentity {
  readonly agent: AgentUnderTest;
}

/** Registers this process and waits until the agent has its SVID. */
async function workloadOf(bench: Bench): Promise<Workload> {
  const agent = await bench.agent();
  const identity = await registerSelf(agent.server.admin, agent.ids, { name: 'self', series: 'be9c0001' });
  await untilServed(agent.socketPath, identity);
  return { ...identity, agent };
}

/** What is asked, and how answers are judged. */
interface Question {
  readonly request: object;
  readonly judge: Judge;
}

/**
 * Each caller on a connection of its own, attested by the agent each time: in a closed loop, where the latencies are those
 * of an agent that is saturated, and at a fixed rate, where they are those of an agent at work.
 */
function workloadRow(
  name: string,
  what: string,
  method: WorkloadMethod,
  ask: (workload: Workload) => Promise<Question>,
): Row[] {
  const row = (callers: number, perSecond?: number): Row => ({
    name: `${name}-${callers}-callers${perSecond === undefined ? '' : '-paced'}`,
    what:
      perSecond === undefined
        ? `${what}; callers: ${callers}, each asking again at once`
        : `${what}; callers: ${callers}, ${perSecond} calls a second altogether, at random moments`,
    needs: 'agent',
    async run(bench) {
      const workload = await workloadOf(bench);
      const { request, judge } = await ask(workload);
      const { socketPath, pid } = workload.agent;
      const plan = {
        peers: [{ socketPath }],
        connections: Math.max(1, Math.floor(callers / Math.min(bench.shrink, 10))),
        concurrency: 1,
        path: pathOfMethod(workloadService(), method),
        requests: [encodeRequest(workloadService(), method, request)],
        firstMessage: method === 'FetchX509SVID',
        ...windowOf(bench, SAMPLE_EVERY),
        ...(perSecond !== undefined && { perSecond }),
      };
      return measureLoad({ pid, socketPath }, [plan], judge);
    },
  });
  return [...CALLERS.map((callers) => row(callers)), row(PACED.callers, PACED.callers * PACED.perCaller)];
}

const x509Rows = workloadRow(
  'fetch-x509-svid',
  'FetchX509SVID on a warm connection up to the first update, which is then cancelled',
  'FetchX509SVID',
  async (workload) => ({ request: {}, judge: ({ answer }) => judgeUpdate(answer, workload) }),
);

const jwtRows = workloadRow(
  'fetch-jwt-svid',
  'FetchJWTSVID for one audience on a warm connection',
  'FetchJWTSVID',
  async ({ id, bundle }) => ({
    request: { audience: [AUDIENCE], spiffe_id: id },
    judge: ({ answer }) =>
      judgeJwtSvid(decodeAnswer(workloadService(), 'FetchJWTSVID', answer).svids[0]?.svid ?? '', id, bundle),
  }),
);

const validateRows = workloadRow(
  'validate-jwt-svid',
  'ValidateJWTSVID of one token on a warm connection',
  'ValidateJWTSVID',
  async ({ agent, id }) => {
    const fetched = await firstAnswer(agent.socketPath, 'FetchJWTSVID', { audience: [AUDIENCE], spiffe_id: id });
    const token = fetched && decodeAnswer(workloadService(), 'FetchJWTSVID', fetched).svids[0]?.svid;
    if (token === undefined) throw new Error('the agent gave no JWT-SVID');
    // An agent that calls everything valid would be the fastest.
    const forged = { audience: AUDIENCE, svid: `${token.slice(0, token.lastIndexOf('.'))}.AAAA` };
    if ((await firstAnswer(agent.socketPath, 'ValidateJWTSVID', forged)) !== undefined) {
      throw new Error('the agent calls a token with a made-up signature valid');
    }
    return {
      request: { audience: AUDIENCE, svid: token },
      judge({ answer }) {
        const { spiffe_id: found, claims } = decodeAnswer(workloadService(), 'ValidateJWTSVID', answer);
        return found === id && claims !== null ? undefined : `validated as ${found}`;
      },
    };
  },
);

export const workloadRows: readonly Row[] = [...x509Rows, ...jwtRows, ...validateRows];

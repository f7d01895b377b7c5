import { agentService } from '../../../common/rpc/services.ts';
import { spiffeId } from '../../../spiffe/id.ts';
import { type Judge, measureLoad } from '../measure.ts';
import type { Row } from '../row.ts';
import { type BenchAgent, serverBundle } from '../seed/api.ts';
import {
  agentPeer,
  decodeAnswer,
  encodeRequest,
  judgeX509Svid,
  keyedCsrs,
  pathOfMethod,
  serverPeer,
} from './messages.ts';
import { windowOf } from './svids.ts';

/** Agents that attest in a row; each needs a join token, made before the load. */
const ATTESTATIONS = 3000;
const CONNECTIONS = 8;

const attestRow: Row = {
  name: 'attest-join-token',
  what: 'an agent that attests with a join token, several to a connection',
  needs: 'server',
  async run(bench) {
    const server = await bench.server(0);
    const bundle = await serverBundle(server.admin);
    const csrs = await keyedCsrs(50);
    const tokens: string[] = [];
    for (let n = 0; n < ATTESTATIONS / bench.shrink; n += 1) {
      tokens.push(
        (await server.admin.call(agentService(), 'CreateJoinToken', { ttl: 3600 }, { timeoutMs: 30_000 })).value,
      );
    }
    server.played.push(...tokens.map((token) => spiffeId(bundle.trustDomain, `/spire/agent/join_token/${token}`)));
    const requests = tokens.map((token, n) =>
      encodeRequest(agentService(), 'AttestAgent', {
        params: {
          data: { type: 'join_token', payload: Buffer.from(token) },
          params: { csr: csrs[n % csrs.length]?.csr },
        },
      }),
    );
    const judge: Judge = ({ request, answer }) => {
      const { result } = decodeAnswer(agentService(), 'AttestAgent', answer);
      const id = `spiffe://${bundle.trustDomain}/spire/agent/join_token/${tokens[request]}`;
      return judgeX509Svid(result?.svid?.cert_chain ?? [], id, bundle, csrs[request % csrs.length]);
    };
    const plan = {
      peers: [serverPeer(server, bundle)],
      connections: CONNECTIONS,
      concurrency: 2,
      path: pathOfMethod(agentService(), 'AttestAgent'),
      ...{ requests, once: true, firstMessage: true, warmUpSeconds: 0, seconds: 600 },
      sampleEvery: Math.ceil(100 / bench.shrink),
    };
    return measureLoad({ pid: server.pid, socketPath: server.adminSocket }, [plan], judge);
  },
};

const renewRow: Row = {
  name: 'renew-agent',
  what: 'an agent that renews its SVID, each on a connection of its own',
  needs: 'server',
  async run(bench) {
    const server = await bench.server(0);
    const agents: BenchAgent[] = [];
    // The agents of other rows keep the serial numbers that they have.
    for (let n = 1; n <= CONNECTIONS; n += 1) agents.push(await server.agent(n));
    const csrs = await keyedCsrs(50);
    const requests = csrs.map(({ csr }) => encodeRequest(agentService(), 'RenewAgent', { params: { csr } }));
    const ids = new Set<string>(agents.map(({ id }) => id));
    const judge: Judge = ({ request, answer }) => {
      const { svid } = decodeAnswer(agentService(), 'RenewAgent', answer);
      const id = `spiffe://${svid?.id?.trust_domain}${svid?.id?.path}`;
      const [first] = agents;
      if (!ids.has(id) || first === undefined) return `an SVID for ${id}, which did not ask`;
      return judgeX509Svid(svid?.cert_chain ?? [], id, first.bundle, csrs[request]);
    };
    const plan = {
      peers: agents.map((agent) => agentPeer(server, agent)),
      connections: agents.length,
      concurrency: 1,
      path: pathOfMethod(agentService(), 'RenewAgent'),
      requests,
      ...windowOf(bench, 100),
    };
    return measureLoad({ pid: server.pid, socketPath: server.adminSocket }, [plan], judge);
  },
};

export const agentRows: readonly Row[] = [attestRow, renewRow];

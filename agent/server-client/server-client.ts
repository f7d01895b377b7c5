import { type ErrorCode, FinialError, hasCode, messageOf, toFinialError } from '../../common/errors.ts';
import { linkSignals } from '../../common/linked-signal.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { RpcChannel } from '../../common/rpc/client.ts';
import { agentService, bundleService, changesService, entryService, svidService } from '../../common/rpc/services.ts';
import { connectServer, serverError, type ServerTarget } from './connect.ts';
import { bundleFromProto, idFromProto } from './convert.ts';
import type { AgentIdentity, ServerClient, SignedJwtSvid, SignedX509Svid } from './contract.ts';
import { syncEntries } from './sync-entries.ts';

export interface ServerClientDependencies {
  readonly target: ServerTarget;
  /** Read for each new connection. */
  identity(): AgentIdentity;
  /** DER, of the own trust domain; read for each new connection. */
  roots(): readonly Buffer[];
  readonly log: Logger;
}

const CALL_TIMEOUT_MS = 30_000;
/**
 * The server ends a stream of hints within 200 seconds. One that lasts longer is of a connection that was lost without
 * either end being told, over which nothing will ever come.
 */
const HINTS_TIMEOUT_MS = 5 * 60_000;

/** Answers of a server that is there and well: no reason to connect anew. */
const ANSWERS: readonly ErrorCode[] = [
  'not-found',
  'invalid-argument',
  'already-exists',
  'failed-precondition',
  'resource-exhausted',
  'unimplemented',
];

/** The server over mutual TLS; connects on the first call. */
export function serverClient(deps: ServerClientDependencies): ServerClient {
  const { target, log } = deps;
  let channel: RpcChannel | undefined;
  /** Aborts when `channel` is dropped. */
  let dropped = new AbortController();
  let closed = false;
  const reconnect = (): void => {
    channel?.close();
    channel = undefined;
    dropped.abort();
    dropped = new AbortController();
  };

  const connected = (): RpcChannel => {
    if (closed) throw new FinialError('unavailable', 'the connection to the server is closed');
    channel ??= connectServer(target, deps.roots(), deps.identity());
    return channel;
  };

  /** Runs calls on the shared connection; one that failed is not used again. */
  const using = async <T>(work: (channel: RpcChannel) => Promise<T>): Promise<T> => {
    const own = connected();
    try {
      return await work(own);
    } catch (error) {
      if (own === channel && !ANSWERS.includes(toFinialError(error).code)) reconnect();
      throw serverError(target.address, error);
    }
  };
  const bounded = (signal: AbortSignal) => ({ signal, timeoutMs: CALL_TIMEOUT_MS });

  return {
    reconnect,
    close() {
      closed = true;
      reconnect();
    },
    syncEntries: (held, signal) =>
      using((own) => syncEntries(own.bidi(entryService(), 'SyncAuthorizedEntries', bounded(signal)), held, log)),
    async bundle(signal) {
      const bundle = await using((own) => own.call(bundleService(), 'GetBundle', {}, bounded(signal)));
      return bundleFromProto(bundle, target.trustDomain);
    },
    async federatedBundle(trustDomain, signal) {
      const request = { trust_domain: trustDomain };
      const skip = (error: unknown): undefined => {
        log.warn('Federated bundle not available', { trust_domain_id: trustDomain, error: messageOf(error) });
        return undefined;
      };
      const answer = await using((own) =>
        own.call(bundleService(), 'GetFederatedBundle', request, bounded(signal)),
      ).catch((error: unknown) => {
        if (hasCode(error, 'not-found')) return skip(error);
        throw error;
      });
      try {
        return answer && bundleFromProto(answer, trustDomain);
      } catch (error) {
        return skip(error);
      }
    },
    signX509Svids: (requests, signal) =>
      using(async (own) => {
        const params = requests.map(({ entryId, csr }) => ({ entry_id: entryId, csr }));
        const { results } = await own.call(svidService(), 'BatchNewX509SVID', { params }, bounded(signal));
        const signed = new Map<string, SignedX509Svid>();
        for (const [index, { svid, status }] of results.entries()) {
          const entryId = requests[index]?.entryId;
          if (entryId === undefined) continue;
          if (svid !== null && svid.cert_chain.length > 0) signed.set(entryId, { chain: svid.cert_chain });
          else log.warn('Entry not signed by the server', { entry_id: entryId, status: status?.message });
        }
        return signed;
      }),
    signJwtSvid: (entryId, audience, signal) =>
      using(async (own) => {
        const request = { entry_id: entryId, audience };
        const { svid } = await own.call(svidService(), 'NewJWTSVID', request, bounded(signal));
        return jwtSvidOf(svid);
      }),
    renewAgent: (csr, signal) =>
      using(async (own) => {
        const { svid } = await own.call(agentService(), 'RenewAgent', { params: { csr } }, bounded(signal));
        if (svid === null || svid.cert_chain.length === 0) throw new FinialError('internal', 'the server sent no SVID');
        return { chain: svid.cert_chain, reattestable: false };
      }),
    postStatus: (agentVersion, signal) =>
      using(async (own) => {
        await own.call(agentService(), 'PostStatus', { agent_version: agentVersion }, bounded(signal));
      }),
    async *hints(signal) {
      const own = connected();
      // A closed channel lets open calls go on: this one would, under an identity that the server soon refuses.
      const gone = dropped.signal;
      const linked = linkSignals(signal, gone);
      try {
        const bounds = { signal: linked.signal, timeoutMs: HINTS_TIMEOUT_MS };
        yield* own.serverStream(changesService(), 'Watch', {}, bounds);
      } catch (error) {
        if (gone.aborted && !signal.aborted) return;
        // Whether the connection is of use any more is for the calls to find out.
        throw serverError(target.address, error);
      } finally {
        linked.unlink();
      }
    },
  };
}

type WireJwtSvid = { token: string; issued_at: string; expires_at: string; id: Parameters<typeof idFromProto>[0] };

/** @throws FinialError `internal` when the answer breaks the rules of agent.md 3.3 */
function jwtSvidOf(svid: WireJwtSvid | null): SignedJwtSvid {
  if (svid === null || svid.token === '') throw new FinialError('internal', 'the server sent no JWT-SVID');
  const issuedAt = Number(svid.issued_at);
  const expiresAt = Number(svid.expires_at);
  if (issuedAt === 0 || expiresAt === 0 || issuedAt > expiresAt) {
    throw new FinialError('internal', 'the server sent a JWT-SVID with an impossible lifetime');
  }
  return { id: idFromProto(svid.id), token: svid.token, issuedAt, expiresAt };
}

import type { CallOptions, RpcChannel } from '../common/rpc/client.ts';
import type { SpiffeWorkloadAPIDefinition } from '../proto/gen/workload/SpiffeWorkloadAPI.ts';
import type { InputOf, OutputOf, ServiceRef } from '../common/rpc/service.ts';
import { FinialError } from '../common/errors.ts';
import type { WorkloadEndpoint } from './endpoint.ts';

type Definition = SpiffeWorkloadAPIDefinition;
type Method = keyof Definition;

/** The calls of the Workload API, each with the security header. */
export interface WorkloadChannel {
  call<M extends Method>(
    method: M,
    request: InputOf<Definition[M]>,
    options: CallOptions,
  ): Promise<OutputOf<Definition[M]>>;
  serverStream<M extends Method>(
    method: M,
    request: InputOf<Definition[M]>,
    options: CallOptions,
  ): AsyncIterable<OutputOf<Definition[M]>>;
  close(): void;
}

/** SPIFFE Workload Endpoint 3: proves that no proxy was tricked into making the call. */
const metadata = { 'workload.spiffe.io': 'true' };

/** The waits between attempts are ours; the channel must not add its own. */
const RECONNECT_MS = 100;

/**
 * A channel to the agent, made on first use. Only then is the gRPC library loaded, which costs three quarters of what
 * this package costs: programs that only verify, or that never get to a call, do without.
 */
export function workloadChannel(endpoint: WorkloadEndpoint, maxReceiveBytes: number): WorkloadChannel {
  let closed = false;
  let loading: Promise<Loaded> | undefined;
  const load = (): Promise<Loaded> => {
    if (closed) return Promise.reject(new FinialError('unavailable', 'the Workload API client is closed'));
    loading ??= connect(endpoint, { maxReceiveBytes, maxReconnectMs: RECONNECT_MS });
    return loading;
  };
  return {
    async call(method, request, options) {
      const { channel, service } = await load();
      return channel.call(service, method, request, { ...options, metadata });
    },
    async *serverStream(method, request, options) {
      const { channel, service } = await load();
      yield* channel.serverStream(service, method, request, { ...options, metadata });
    },
    close() {
      closed = true;
      loading?.then(
        ({ channel }) => channel.close(),
        // Whoever waits for it hears that the library could not be loaded.
        () => undefined,
      );
    },
  };
}

interface Loaded {
  readonly channel: RpcChannel;
  readonly service: ServiceRef<Definition>;
}

async function connect(
  endpoint: WorkloadEndpoint,
  limits: { readonly maxReceiveBytes: number; readonly maxReconnectMs: number },
): Promise<Loaded> {
  const [{ connectTcp, connectUnix }, { workloadService }] = await Promise.all([
    import('../common/rpc/client.ts'),
    import('../common/rpc/services.ts'),
  ]);
  const channel =
    endpoint.transport === 'unix'
      ? connectUnix(endpoint.path, limits)
      : connectTcp(endpoint.host, endpoint.port, limits);
  return { channel, service: workloadService() };
}

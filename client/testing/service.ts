import type { Call, ServerStreamHandler, UnaryHandler } from '../../common/rpc/call.ts';
import { FinialError } from '../../common/errors.ts';
import {
  encodeResponse,
  implement,
  type ImplementedService,
  type RequestOf,
  type ResponseOf,
  serverStream,
  unary,
} from '../../common/rpc/service.ts';
import { workloadService } from '../../common/rpc/services.ts';
import type { SpiffeWorkloadAPIDefinition as Definition } from '../../proto/gen/workload/SpiffeWorkloadAPI.ts';
import type { Script, WorkloadMethod } from './script.ts';
import {
  type FakeState,
  jwtBundlesResponse,
  jwtSvidResponse,
  validateJwtSvidResponse,
  x509BundlesResponse,
  x509SvidResponse,
} from './state.ts';
import type { OpenStreams } from './streams.ts';
import { witBundlesResponse, witSvidResponse } from './wit.ts';

/** What the Workload API of the fake is made of. */
export interface FakeServiceParts {
  readonly state: () => FakeState;
  readonly script: Script;
  readonly streams: OpenStreams;
  /** Unix ms */
  readonly now: () => number;
  readonly jwtTtlSeconds: number;
  /** Whether the calls of WIT-SVIDs, which are incubating, are answered. */
  readonly wit: boolean;
}

type Request<M extends WorkloadMethod> = RequestOf<Definition[M]>;
type Response<M extends WorkloadMethod> = ResponseOf<Definition[M]>;

/** The SPIFFE Workload API over what `parts.state` gives, except where the script says otherwise. */
export function fakeService(parts: FakeServiceParts): ImplementedService {
  const { state, now, jwtTtlSeconds } = parts;
  const stream = <M extends WorkloadMethod>(
    method: M,
    answer: (request: Request<M>) => Response<M> | Promise<Response<M>>,
  ) => serverStream<Request<M>, Response<M>>(streaming(parts, method, answer));
  const single = <M extends WorkloadMethod>(method: M, answer: (request: Request<M>) => Promise<Response<M>>) =>
    unary<Request<M>, Response<M>>(answering(parts, method, answer));
  return implement(workloadService(), {
    FetchX509SVID: stream('FetchX509SVID', () => x509SvidResponse(state())),
    FetchX509Bundles: stream('FetchX509Bundles', () => x509BundlesResponse(state())),
    FetchJWTBundles: stream('FetchJWTBundles', () => jwtBundlesResponse(state())),
    FetchJWTSVID: single('FetchJWTSVID', (request) => jwtSvidResponse(state(), request, jwtTtlSeconds)),
    ValidateJWTSVID: single('ValidateJWTSVID', (request) => validateJwtSvidResponse(state(), request, now())),
    FetchWITSVID: stream('FetchWITSVID', (request) => witSvidResponse(optedIn(parts), request)),
    FetchWITBundles: stream('FetchWITBundles', () => witBundlesResponse(optedIn(parts))),
  });
}

function streaming<M extends WorkloadMethod>(
  { script, streams }: FakeServiceParts,
  method: M,
  answer: (request: Request<M>) => Response<M> | Promise<Response<M>>,
): ServerStreamHandler<Request<M>, Response<M>> {
  return async function* (request: Request<M>, { signal }: Call) {
    script.begin(method);
    const content = {
      isSilent: () => script.isSilent(method),
      render: async () => script.takeRaw(method) ?? encodeResponse(workloadService(), method, await answer(request)),
    };
    yield* streams.run(method, content, signal);
  };
}

function answering<M extends WorkloadMethod>(
  { script }: FakeServiceParts,
  method: M,
  answer: (request: Request<M>) => Promise<Response<M>>,
): UnaryHandler<Request<M>, Response<M>> {
  return async (request, { signal }) => {
    script.begin(method);
    await script.untilHeard(method, signal);
    return script.takeRaw(method) ?? answer(request);
  };
}

function optedIn({ wit, state }: FakeServiceParts): FakeState {
  if (!wit) throw new FinialError('unimplemented', 'WIT-SVIDs are not enabled: see the option wit');
  return state();
}

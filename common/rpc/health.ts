import type { HealthDefinition } from '../../proto/gen/grpc/health/v1/Health.ts';
import { FinialError } from '../errors.ts';
import { implement, type ImplementedService, loadService, type ServiceRef, unary } from './service.ts';

/** The standard health service of gRPC. */
export function healthService(): ServiceRef<HealthDefinition> {
  return loadService('grpc/health/v1/health.proto', 'grpc.health.v1.Health');
}

/**
 * Answers health checks of the whole process; List and Watch are not implemented, as in the reference.
 *
 * @param check whether the process serves; asked on each check
 */
export function implementHealth(check: () => Promise<boolean>): ImplementedService {
  return implement(healthService(), {
    Check: unary(async ({ service }) => {
      if (service !== '') throw new FinialError('invalid-argument', 'per-service health is not supported');
      return { status: (await check()) ? 'SERVING' : 'NOT_SERVING' };
    }),
  });
}

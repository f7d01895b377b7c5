import { FinialError } from '../errors.ts';
import { implement, type ImplementedService, unary } from './service.ts';
import { healthService } from './services.ts';

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

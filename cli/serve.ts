import type { CommandIo } from '../common/cli/command.ts';
import { messageOf } from '../common/errors.ts';
import type { Running } from '../common/lifecycle.ts';
import type { Logger } from '../common/log/logger.ts';
import { interruptSignal } from './interrupt.ts';

/** What an operator's umask must not allow to others, whatever it was: writing for the group, anything for the rest. */
const LEAST_UMASK = 0o027;

/** Makes the umask at least as strict as it has to be before anything is written. */
export function restrictUmask(log: Logger): void {
  const current = process.umask();
  const wanted = current | LEAST_UMASK;
  if (wanted === current) return;
  process.umask(wanted);
  log.warn(`Current umask ${octal(current)} is too permissive; setting umask ${octal(wanted)}`);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** A daemon to be run. */
export interface Service {
  /** `Server` or `Agent`, as log lines name it. */
  readonly name: 'Server' | 'Agent';
  readonly log: Logger;
  /** Opens the log file anew, on SIGUSR2. */
  reopenLog(): void;
  /** Starts it; must give up when `signal` aborts. */
  start(signal: AbortSignal): Promise<Running>;
}

/**
 * Runs a daemon until SIGINT, SIGTERM, or a failure.
 *
 * @returns the exit code: 0 after a graceful stop, 1 after a failure
 */
export async function serve(service: Service, io: CommandIo): Promise<number> {
  const { log, name } = service;
  const signal = interruptSignal();
  const reopen = (): void => {
    try {
      service.reopenLog();
    } catch (error) {
      log.error('Could not reopen the log file', { error });
    }
  };
  // Without a listener Node answers SIGUSR1 by opening its debugger to everybody on this machine.
  const ignore = (): void => log.warn('SIGUSR1 ignored: plugins cannot be reconfigured in this build; restart instead');
  process.on('SIGUSR1', ignore);
  process.on('SIGUSR2', reopen);
  try {
    const running = await service.start(signal);
    signal.addEventListener('abort', () => void running.close(), { once: true });
    if (signal.aborted) void running.close();
    await running.done;
    log.info(`${name} stopped gracefully`);
    return 0;
  } catch (error) {
    if (signal.aborted) {
      log.info(`${name} stopped gracefully`);
      return 0;
    }
    log.error('Fatal run error', { error });
    log.error(`${name} crashed`, { error });
    // The log may be a file; whoever typed the command sees the reason too.
    if (process.stderr.isTTY) io.err(`${messageOf(error)}\n`);
    return 1;
  } finally {
    process.off('SIGUSR2', reopen);
    process.off('SIGUSR1', ignore);
  }
}

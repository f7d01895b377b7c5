import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../clock.ts';
import { FinialError, messageOf } from '../errors.ts';
import type { Closable, Task } from '../lifecycle.ts';
import { linkSignals } from '../linked-signal.ts';
import type { Logger } from '../log/logger.ts';
import { type HealthRecord, type HealthState, type Probe, probeAnswer, recordHealth } from './state.ts';

export type { HealthState } from './state.ts';

/** Asks a subsystem for its health; throwing means neither live nor ready. */
export type HealthCheck = (signal: AbortSignal) => Promise<HealthState>;

/** What is watched, and by which clock. */
export interface HealthOptions {
  /** By the name of the subsystem, such as `server.ca`. */
  readonly checks: Readonly<Record<string, HealthCheck>>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Knows how the subsystems were when they were last asked. */
export interface Health {
  /** The answer from the last results; checks are not run for it. */
  answer(probe: Probe): { readonly healthy: boolean; readonly body: string };
  /** Runs all checks once. */
  check(signal: AbortSignal): Promise<void>;
  /** Runs the checks every second until all pass for the first time, then every minute. */
  readonly run: Task;
}

/** Intervals of the reference. */
const STARTING_MS = 1000;
const STEADY_MS = 60_000;
/** A check that hangs must not stop the others from being heard. */
const TIMEOUT_MS = 30_000;

/** Watches subsystems. */
export function createHealth({ checks, clock, log }: HealthOptions): Health {
  const names = Object.keys(checks);
  const records = new Map<string, HealthRecord>();

  const checkOne = async (name: string, check: HealthCheck, signal: AbortSignal): Promise<void> => {
    const { state, failure } = await runCheck(check, clock, signal);
    if (signal.aborted) return;
    const { record, note } = recordHealth(name, records.get(name), state, failure, clock.now());
    records.set(name, record);
    if (note !== undefined) log[note.level](note.message, note.fields);
  };
  const check = async (signal: AbortSignal): Promise<void> => {
    await Promise.all(Object.entries(checks).map(([name, one]) => checkOne(name, one, signal)));
  };
  const answer: Health['answer'] = (probe) => probeAnswer(probe, names, records);
  return {
    answer,
    check,
    async run(signal) {
      let started = false;
      while (!signal.aborted) {
        await check(signal);
        started ||= answer('live').healthy && answer('ready').healthy;
        await clock.sleep(started ? STEADY_MS : STARTING_MS, signal).catch(() => undefined);
      }
    },
  };
}

async function runCheck(
  check: HealthCheck,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ readonly state: HealthState; readonly failure: string | undefined }> {
  const linked = linkSignals(signal);
  const timeout = clock.sleep(TIMEOUT_MS, linked.signal).then(() => {
    throw new FinialError('deadline-exceeded', `no answer within ${TIMEOUT_MS / 1000} s`);
  });
  try {
    return { state: await Promise.race([Promise.resolve(linked.signal).then(check), timeout]), failure: undefined };
  } catch (error) {
    return { state: { live: false, ready: false, liveDetails: null, readyDetails: null }, failure: messageOf(error) };
  } finally {
    linked.abort();
  }
}

/** Where probes are answered. */
export interface HealthListenerOptions {
  readonly health: Pick<Health, 'answer'>;
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly livePath: string;
  readonly readyPath: string;
}

/**
 * Answers probes over HTTP: 200 or 500 with the details as JSON on exactly the two paths, for any method; 404 elsewhere.
 *
 * @throws FinialError `unavailable` when it cannot listen
 */
export async function listenHealth(options: HealthListenerOptions): Promise<Closable & { readonly port: number }> {
  const server = http.createServer({ headersTimeout: 10_000, requestTimeout: 15_000 }, (request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    const probe: Probe | undefined =
      path === options.livePath ? 'live' : path === options.readyPath ? 'ready' : undefined;
    if (probe === undefined) {
      response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('404 page not found\n');
      return;
    }
    const { healthy, body } = options.health.answer(probe);
    response.writeHead(healthy ? 200 : 500, { 'content-type': 'application/json' }).end(body);
  });
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((error: unknown) => {
    throw new FinialError('unavailable', `cannot serve health checks: ${messageOf(error)}`, { cause: error });
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * The whole of health checks as one task: the loop and, unless `listen` is undefined, the listener. As in the
 * reference, a listener that cannot be opened is only warned about.
 */
export function healthTask(
  health: Health,
  listen: Omit<HealthListenerOptions, 'health'> | undefined,
  log: Logger,
): Task {
  return async (signal) => {
    const listener = listen === undefined ? undefined : await openListener({ ...listen, health }, log);
    try {
      await health.run(signal);
    } finally {
      await listener?.close();
    }
  };
}

async function openListener(options: HealthListenerOptions, log: Logger): Promise<Closable | undefined> {
  try {
    const listener = await listenHealth(options);
    log.info('Serving health checks', { address: `${options.host}:${listener.port}` });
    return listener;
  } catch (error) {
    log.warn('Error serving health checks', { error });
    return undefined;
  }
}

import type { LogFields } from '../log/logger.ts';

/** What a check may tell about its subsystem; null when there is nothing to tell. */
type HealthDetails = Readonly<Record<string, string>> | null;

/** The health of a subsystem as it sees itself. */
export interface HealthState {
  /** In a good state, or in one that it can recover from. */
  readonly live: boolean;
  /** Able to do its work. */
  readonly ready: boolean;
  /** Still starting: failures are then expected and told once. */
  readonly starting?: boolean;
  /** `{}` when absent. */
  readonly liveDetails?: HealthDetails;
  /** `{}` when absent. */
  readonly readyDetails?: HealthDetails;
}

/** The last result of a check and what led to it. */
export interface HealthRecord {
  readonly state: HealthState;
  /** Undefined when healthy. */
  readonly error: string | undefined;
  /** Failures in a row. */
  readonly failures: number;
  /** Milliseconds since the epoch; of the first failure in a row. */
  readonly failingSince: number | undefined;
}

/** A line that a result is worth. */
export interface HealthNote {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: LogFields;
}

/**
 * Takes in a result.
 *
 * @param failure what the check threw, when it did
 * @param now milliseconds since the epoch
 */
export function recordHealth(
  name: string,
  previous: HealthRecord | undefined,
  state: HealthState,
  failure: string | undefined,
  now: number,
): { readonly record: HealthRecord; readonly note: HealthNote | undefined } {
  const error = failure ?? problemOf(state);
  const failures = error === undefined ? 0 : (previous?.failures ?? 0) + 1;
  const failingSince = error === undefined ? undefined : (previous?.failingSince ?? now);
  return {
    record: { state, error, failures, failingSince },
    note: noteOf(name, previous, state, error, failures, now),
  };
}

function problemOf({ live, ready }: HealthState): string | undefined {
  if (live && ready) return undefined;
  if (ready) return 'subsystem is not live';
  return live ? 'subsystem is not ready' : 'subsystem is not live or ready';
}

function noteOf(
  check: string,
  previous: HealthRecord | undefined,
  state: HealthState,
  error: string | undefined,
  failures: number,
  now: number,
): HealthNote | undefined {
  if (error === undefined) {
    if (previous?.error === undefined) return undefined;
    const duration = (now - (previous.failingSince ?? now)) / 1000;
    const fields = { check, error: previous.error, failures: previous.failures, duration };
    return { level: 'info', message: 'Health check recovered', fields };
  }
  const details = state.readyDetails ?? state.liveDetails ?? undefined;
  const fields = { check, error, details, failures };
  if (state.starting !== true) return { level: 'error', message: 'Health check has failed', fields };
  if (previous?.error === error) return undefined;
  return { level: 'warn', message: 'Health check has failed. Starting up still.', fields };
}

/** What is asked: may the process go on, and does it serve? */
export type Probe = 'live' | 'ready';

/**
 * The answer to a probe: healthy when every check is, and one line of JSON with the details of each by name. A check
 * without a result yet counts as failed, with null for details.
 */
export function probeAnswer(
  probe: Probe,
  names: readonly string[],
  records: ReadonlyMap<string, HealthRecord>,
): { readonly healthy: boolean; readonly body: string } {
  const details = names.toSorted().map((name) => {
    const state = records.get(name)?.state;
    const found = probe === 'live' ? state?.liveDetails : state?.readyDetails;
    const shown: HealthDetails = state === undefined ? null : found === undefined ? {} : found;
    return `${JSON.stringify(name)}:${JSON.stringify(shown)}`;
  });
  const healthy = names.every((name) => records.get(name)?.state[probe] === true);
  return { healthy, body: `{${details.join(',')}}\n` };
}

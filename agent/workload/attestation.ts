import { type Clock, systemClock } from '../../common/clock.ts';
import { FinialError } from '../../common/errors.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { Peer } from '../../common/rpc/call.ts';
import { shortTurns } from '../../common/turns.ts';
import type { WorkloadAttestor } from '../../plugins/workload-attestor/contract.ts';
import { fairGate } from './fair-gate.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';

/** Finds out the facts about a caller. */
export interface WorkloadAttestation {
  /**
   * The selectors of the process at the other end, as all attestors together tell them.
   *
   * @throws FinialError `unavailable` "workload attestation failed" when no attestor could tell anything, or when the
   * process that called is no longer there
   */
  attest(peer: Peer, signal: AbortSignal): Promise<readonly Selector[]>;
}

/** Who is asked about callers. */
export interface WorkloadAttestationDependencies {
  /** By the name of the plugin. */
  readonly attestors: ReadonlyMap<string, WorkloadAttestor>;
  readonly log: Logger;
  /** For measuring turns of the event loop; the system's unless told. */
  readonly clock?: Pick<Clock, 'steady'>;
}

const failed = (cause?: unknown): FinialError =>
  new FinialError('unavailable', 'workload attestation failed', cause === undefined ? {} : { cause });

/**
 * Attestors open files and connections for each caller: without a bound, 5,000 streams opened at once used 5,000
 * descriptors for a moment (measured), and others found none. One process gets no more than a quarter.
 */
const AT_ONCE = 64;
const AT_ONCE_PER_PROCESS = 16;
/** Most callers are looked at without waiting for anything; of a thousand at once the others should not hear of it. */
const LONGEST_TURN_MS = 10;

/** Asks all attestors at once; one that fails does not fail the rest (agent.md 4.3). */
export function workloadAttestation(dependencies: WorkloadAttestationDependencies): WorkloadAttestation {
  const { attestors, clock = systemClock, log } = dependencies;
  const turn = shortTurns(clock, LONGEST_TURN_MS);
  const gate = fairGate(AT_ONCE, AT_ONCE_PER_PROCESS);
  const join = joined();
  return {
    async attest(peer, signal) {
      const process = peer.transport === 'unix' ? peer.process : undefined;
      if (process === undefined) throw failed(new Error('the caller was not identified at accept'));
      const { pid } = process;
      const ask = async ([name, attestor]: [string, WorkloadAttestor]) => {
        try {
          return await attestor.attest(pid, signal);
        } catch (error) {
          if (!signal.aborted) log.error('Failed to collect all selectors for PID', { pid, plugin_name: name, error });
          return undefined;
        }
      };
      const waiting = turn();
      if (waiting !== undefined) await waiting;
      const answers = await gate.run(pid, signal, () => Promise.all([...attestors].map(ask)));
      if (signal.aborted) throw new FinialError('cancelled', 'the caller has gone');
      // Last of all: only now is it certain that everything above was told of the process that called.
      if (!process.isSame()) {
        log.error('could not verify existence of the original caller', { pid });
        throw failed();
      }
      const collected = answers.filter((answer) => answer !== undefined);
      if (collected.length === 0) throw failed();
      return join(collected);
    },
  };
}

/** Each selector once. A lone answer that cannot change is looked through once, however often it is given. */
function joined(): (answers: readonly (readonly Selector[])[]) => readonly Selector[] {
  const known = new WeakMap<readonly Selector[], readonly Selector[]>();
  return (answers) => {
    const [first] = answers;
    if (first === undefined || answers.length > 1 || !Object.isFrozen(first)) return distinct(answers.flat());
    const before = known.get(first);
    if (before !== undefined) return before;
    const selectors = Object.freeze(distinct(first));
    known.set(first, selectors);
    return selectors;
  };
}

function distinct(selectors: readonly Selector[]): readonly Selector[] {
  return [...new Map(selectors.map((selector) => [formatSelector(selector), selector])).values()];
}

import type { Closable } from '../../common/lifecycle.ts';
import type { Selector } from '../../spiffe/selector.ts';

/** Tells what a process on this node is. */
export interface WorkloadAttestor extends Partial<Closable> {
  /**
   * Selectors of the process, typed by the plugin's name. "Not mine" is an empty list; an error means that the plugin
   * could not tell. The caller checks afterwards that the process is still the one that asked.
   *
   * @param pid as seen from this process
   */
  attest(pid: number, signal: AbortSignal): Promise<readonly Selector[]>;
}

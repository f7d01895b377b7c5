import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import type { WorkloadUpdate } from './contract.ts';

/** What a set of selectors gets, and whether more is on its way. */
export interface View {
  /** The matching entries, ascending, whether an SVID is held for them or not. */
  readonly entryIds: readonly string[];
  /** Whether an SVID is held for each of them. */
  readonly isComplete: boolean;
  readonly update: WorkloadUpdate;
}

/** All subscribers that show the same selectors. They share one view, so that it is made and encoded once. */
interface Group {
  readonly key: string;
  readonly selectors: readonly Selector[];
  view: View;
  /** One for each subscriber. */
  readonly wakes: Set<() => void>;
}

/** Views are kept for so many sets that nobody is subscribed to: most workloads ask, leave, and ask again. */
const MOST_IDLE = 256;

/** Who is subscribed, by set of selectors. */
export class Subscriptions {
  readonly #groups = new Map<string, Group>();
  /** Those without subscribers, the longest unused first. */
  readonly #idle = new Set<Group>();
  readonly #build: (selectors: readonly Selector[]) => View;
  readonly #keys = new WeakMap<readonly Selector[], string>();

  /** @param build what a set of selectors gets now */
  constructor(build: (selectors: readonly Selector[]) => View) {
    this.#build = build;
  }

  /** The view of a set now, whether somebody is subscribed to it or not. */
  view(selectors: readonly Selector[]): View {
    const group = this.#open(selectors);
    this.#leave(group);
    return group.view;
  }

  /** The entries whose identities somebody gets, or waits for. */
  subscribedEntries(): ReadonlySet<string> {
    const ids = new Set<string>();
    for (const group of this.#groups.values()) {
      if (group.wakes.size > 0) for (const id of group.view.entryIds) ids.add(id);
    }
    return ids;
  }

  /** Makes the concerned views anew, and wakes the subscribers of those that came out different. */
  refresh(isConcerned: (view: View) => boolean): void {
    for (const group of this.#idle) if (isConcerned(group.view)) this.#forget(group);
    for (const group of this.#groups.values()) {
      if (group.wakes.size === 0 || !isConcerned(group.view)) continue;
      const old = group.view;
      const next = this.#build(group.selectors);
      group.view = isSameUpdate(old.update, next.update) ? { ...next, update: old.update } : next;
      if (group.view.update === old.update && group.view.isComplete === old.isComplete) continue;
      for (const wake of group.wakes) wake();
    }
  }

  /**
   * The update of a set of selectors once it is complete, then each different one. Ends when `signal` aborts. Written out
   * rather than as a generator, which costs every call of the Workload API several turns more.
   *
   * @param joined told of the view that a subscriber finds
   */
  updates(
    selectors: readonly Selector[],
    signal: AbortSignal,
    joined: (view: View) => void,
  ): AsyncIterableIterator<WorkloadUpdate, undefined> {
    let group: Group | undefined;
    let sent: WorkloadUpdate | undefined;
    let waiting: ((result: IteratorResult<WorkloadUpdate, undefined>) => void) | undefined;
    let over = false;
    /** What is to be sent now. */
    const due = ({ view: { isComplete, update } }: Group): WorkloadUpdate | undefined => {
      if (update === sent || (sent === undefined && !isComplete)) return undefined;
      // Nothing will ever match no selectors, and the reference tells their workload nothing more.
      if (sent !== undefined && selectors.length === 0) return undefined;
      sent = update;
      return update;
    };
    const ring = (): void => {
      const update = waiting && group && due(group);
      if (update === undefined) return;
      waiting?.({ done: false, value: update });
      waiting = undefined;
    };
    const end = (): void => {
      over = true;
      signal.removeEventListener('abort', end);
      if (group?.wakes.delete(ring) === true) this.#leave(group);
      waiting?.(DONE);
      waiting = undefined;
    };
    const join = (): Group => {
      const found = this.#open(selectors);
      found.wakes.add(ring);
      signal.addEventListener('abort', end, { once: true });
      joined(found.view);
      return found;
    };
    return {
      async next() {
        if (over || signal.aborted) {
          end();
          return DONE;
        }
        group ??= join();
        const update = due(group);
        if (update !== undefined) return { done: false, value: update };
        return new Promise((resolve) => {
          waiting = resolve;
        });
      },
      async return() {
        end();
        return DONE;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #open(selectors: readonly Selector[]): Group {
    const key = this.#keyOf(selectors);
    const known = this.#groups.get(key);
    if (known !== undefined) {
      this.#idle.delete(known);
      return known;
    }
    const group: Group = { key, selectors, view: this.#build(selectors), wakes: new Set() };
    this.#groups.set(key, group);
    return group;
  }

  #leave(group: Group): void {
    // A group that was forgotten meanwhile has a successor under its key.
    if (group.wakes.size > 0 || this.#groups.get(group.key) !== group) return;
    this.#idle.add(group);
    if (this.#idle.size <= MOST_IDLE) return;
    const [longestUnused] = this.#idle;
    if (longestUnused !== undefined) this.#forget(longestUnused);
  }

  #forget(group: Group): void {
    this.#idle.delete(group);
    this.#groups.delete(group.key);
  }

  /** Attestors give the same frozen list to workloads alike; such a list cannot change, so neither can its key. */
  #keyOf(selectors: readonly Selector[]): string {
    const known = this.#keys.get(selectors);
    if (known !== undefined) return known;
    const key = keyOf(selectors);
    if (Object.isFrozen(selectors)) this.#keys.set(selectors, key);
    return key;
  }
}

const DONE = Object.freeze({ done: true, value: undefined });

/** Equal for equal sets only, whatever the selectors hold. */
function keyOf(selectors: readonly Selector[]): string {
  return JSON.stringify([...new Set(selectors.map(formatSelector))].sort());
}

/** Parts are never changed, so the same content is the same object. */
function isSameUpdate(a: WorkloadUpdate, b: WorkloadUpdate): boolean {
  return (
    a.bundle === b.bundle &&
    a.identities.length === b.identities.length &&
    a.identities.every((one, index) => {
      const other = b.identities[index];
      return one.entry === other?.entry && one.svid === other.svid;
    }) &&
    a.federatedBundles.size === b.federatedBundles.size &&
    [...a.federatedBundles].every(([trustDomain, bundle]) => b.federatedBundles.get(trustDomain) === bundle)
  );
}

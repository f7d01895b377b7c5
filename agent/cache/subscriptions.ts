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
  readonly wakes: Set<() => void>;
}

/** Who is subscribed, by set of selectors. */
export class Subscriptions {
  readonly #groups = new Map<string, Group>();
  readonly #build: (selectors: readonly Selector[]) => View;

  /** @param build what a set of selectors gets now */
  constructor(build: (selectors: readonly Selector[]) => View) {
    this.#build = build;
  }

  /** The view of a set that somebody is subscribed to. */
  find(selectors: readonly Selector[]): View | undefined {
    return this.#groups.get(keyOf(selectors))?.view;
  }

  /** The entries whose identities somebody gets, or waits for. */
  subscribedEntries(): ReadonlySet<string> {
    const ids = new Set<string>();
    for (const { view } of this.#groups.values()) for (const id of view.entryIds) ids.add(id);
    return ids;
  }

  /** Makes the concerned views anew, and wakes the subscribers of those that came out different. */
  refresh(isConcerned: (view: View) => boolean): void {
    for (const group of this.#groups.values()) {
      if (!isConcerned(group.view)) continue;
      const old = group.view;
      const next = this.#build(group.selectors);
      group.view = isSameUpdate(old.update, next.update) ? { ...next, update: old.update } : next;
      if (group.view.update === old.update && group.view.isComplete === old.isComplete) continue;
      for (const wake of group.wakes) wake();
    }
  }

  /**
   * The update of a set of selectors once it is complete, then each different one. Ends when `signal` aborts.
   *
   * @param joined told of the view that a subscriber finds
   */
  async *updates(
    selectors: readonly Selector[],
    signal: AbortSignal,
    joined: (view: View) => void,
  ): AsyncGenerator<WorkloadUpdate, void, undefined> {
    if (signal.aborted) return;
    const group = this.#open(selectors);
    let wake: (() => void) | undefined;
    const ring = (): void => wake?.();
    group.wakes.add(ring);
    signal.addEventListener('abort', ring, { once: true });
    try {
      joined(group.view);
      let sent: WorkloadUpdate | undefined;
      while (!signal.aborted) {
        const { isComplete, update } = group.view;
        if (update !== sent && (sent !== undefined || isComplete)) {
          sent = update;
          yield update;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener('abort', ring);
      group.wakes.delete(ring);
      if (group.wakes.size === 0) this.#groups.delete(group.key);
    }
  }

  #open(selectors: readonly Selector[]): Group {
    const key = keyOf(selectors);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group: Group = { key, selectors, view: this.#build(selectors), wakes: new Set() };
    this.#groups.set(key, group);
    return group;
  }
}

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

import type { ChangeEvent } from '../../plugins/datastore/sql/contract.ts';

interface Gap {
  /** First and last event ID that is missing. */
  readonly from: number;
  readonly to: number;
  /** Milliseconds of the steady clock after which nobody looks any more. */
  readonly until: number;
}

/** A transaction that was open at start has an ID close to the newest one. */
const GAPS_KEPT_AT_START = 1000;

/**
 * Above which event ID a start has to read, given the newest one: the full load covers what older events tell, and of
 * gaps only those that transactions open at start may still fill are kept.
 */
export function oldestOfInterest(newest: number): number {
  return Math.max(0, newest - GAPS_KEPT_AT_START - 1);
}

/**
 * Remembers which events of a table were seen. IDs are given when a transaction begins and show when it commits, so a
 * smaller ID may turn up after a greater one: what was skipped is looked for until `timeoutMs` has passed.
 */
export class EventCursor {
  readonly #timeoutMs: number;
  #last = 0;
  #gaps: readonly Gap[] = [];

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Events above this ID are of interest. */
  get after(): number {
    return (this.#gaps[0]?.from ?? this.#last + 1) - 1;
  }

  /** The greatest event ID that was seen. */
  get newest(): number {
    return this.#last;
  }

  /** How many ranges of IDs are missing. */
  get gaps(): number {
    return this.#gaps.length;
  }

  /** Takes the newest events before a full load, all above `oldestOfInterest`; the load covers what they tell. */
  start(events: readonly ChangeEvent[], now: number): void {
    this.advance(events, now);
    const oldest = oldestOfInterest(this.#last) + 1;
    this.#gaps = this.#gaps
      .filter((gap) => gap.to > oldest)
      .map((gap) => ({ ...gap, from: Math.max(gap.from, oldest) }));
  }

  /**
   * @param events all events above `after`, in order
   * @param now milliseconds of the steady clock
   * @returns keys of the events not seen before
   */
  advance(events: readonly ChangeEvent[], now: number): Set<string> {
    const keys = new Set<string>();
    const until = now + this.#timeoutMs;
    const gaps = this.#gaps.filter((gap) => gap.until > now);
    for (const { eventId, key } of events) {
      if (eventId > this.#last) {
        if (eventId > this.#last + 1) gaps.push({ from: this.#last + 1, to: eventId - 1, until });
        this.#last = eventId;
        keys.add(key);
        continue;
      }
      const index = gaps.findIndex((gap) => gap.from <= eventId && eventId <= gap.to);
      const gap = gaps[index];
      if (gap === undefined) continue;
      keys.add(key);
      gaps.splice(index, 1, ...without(gap, eventId));
    }
    this.#gaps = gaps;
    return keys;
  }
}

function without(gap: Gap, id: number): Gap[] {
  return [
    { ...gap, to: id - 1 },
    { ...gap, from: id + 1 },
  ].filter(({ from, to }) => from <= to);
}

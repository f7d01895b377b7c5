import { type AuthorityStep, authoritySteps, isMadeInFuture, type Validity } from '../../spiffe/rotation.ts';
import type { AuthorityRecord, SlotId } from './journal/record.ts';

/** An authority that can be used: its record in the journal, and what signing needs of it. */
export interface Held<R extends AuthorityRecord, V> {
  readonly record: R;
  readonly view: V;
}

/** One of the two places where an authority of a kind can be. */
export interface Slot<R extends AuthorityRecord, V> {
  readonly id: SlotId;
  /** Absent when nothing was made here yet, or what was made cannot be used any more. */
  readonly held: Held<R, V> | undefined;
}

/** The two slots of one kind of authority: `current` signs, `next` is where the following one is prepared. */
export interface Slots<R extends AuthorityRecord, V> {
  readonly current: Slot<R, V>;
  readonly next: Slot<R, V>;
}

/** Whether a journal names one of the two slots. */
export function isSlotId(text: string): text is SlotId {
  return text === 'A' || text === 'B';
}

/**
 * Which authority goes where, from those of the journal that can be used, oldest first: the active one signs, the newest
 * other one is next. Without an active one the newest is next all the same, and the first step activates it.
 */
export function slotsOf<R extends AuthorityRecord, V>(usable: readonly Held<R, V>[]): Slots<R, V> {
  const active = usable.findLast(({ record }) => record.status === 'active');
  const activeSlot = active && slotOf(active);
  const other = usable.findLast(({ record }) => record.status !== 'active' && record.slotId !== activeSlot);
  if (activeSlot !== undefined) {
    return { current: { id: activeSlot, held: active }, next: { id: otherSlot(activeSlot), held: other } };
  }
  // A fresh server makes its first authority in slot A, as the reference does.
  const nextSlot = other === undefined ? 'A' : slotOf(other);
  return { current: { id: otherSlot(nextSlot), held: undefined }, next: { id: nextSlot, held: other } };
}

/** Whether both slots are taken, so that no older authority can matter. */
export function isComplete(usable: readonly Held<AuthorityRecord, unknown>[]): boolean {
  const { current, next } = slotsOf(usable);
  return current.held !== undefined && next.held !== undefined;
}

/**
 * What is due at `now`, in order: an authority is prepared and activated at once where none can sign; otherwise the next
 * one is prepared, and later activated, past the thresholds of the current one.
 *
 * @param now Unix milliseconds
 */
export function dueSteps<R extends AuthorityRecord, V>(slots: Slots<R, V>, now: number): readonly AuthorityStep[] {
  const current = slots.current.held?.record;
  return authoritySteps(current && validityOf(current), isReady(slots.next.held?.record, now), now);
}

/** Whether the authority may take over. */
function isReady(record: AuthorityRecord | undefined, now: number): boolean {
  if (record === undefined || record.status === 'old') return false;
  const validity = validityOf(record);
  return now < validity.notAfter && !isMadeInFuture(validity, now);
}

function validityOf({ issuedAt, notAfter }: AuthorityRecord): Validity {
  return { notBefore: issuedAt * 1000, notAfter: notAfter * 1000 };
}

function otherSlot(id: SlotId): SlotId {
  return id === 'A' ? 'B' : 'A';
}

function slotOf(held: Held<AuthorityRecord, unknown>): SlotId {
  return held.record.slotId === 'B' ? 'B' : 'A';
}

import type { Clock } from '../../common/clock.ts';
import { FinialError } from '../../common/errors.ts';
import type { Logger } from '../../common/log/logger.ts';
import { type Observable, subject } from '../../common/observable.ts';
import type { Key, KeyManager } from '../../plugins/key-manager/contract.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import type { KeyType } from '../../spiffe/signer.ts';
import type { Journal } from './journal/journal.ts';
import {
  type AuthorityRecord,
  type AuthorityStatus,
  type JournalEntries,
  type SlotId,
  withActive,
  withoutActive,
  withPrepared,
} from './journal/record.ts';
import { dueSteps, type Held, isComplete, isSlotId, type Slot, type Slots, slotsOf } from './slots.ts';

/** A new authority that nobody has seen yet. */
export interface Made<R extends AuthorityRecord, V> extends Held<R, V> {
  /** Puts it into the trust domain's bundle; nothing may be signed with it before. */
  publish(): Promise<void>;
}

/** What tells the kinds of authority apart; everything else about their rotation is the same. */
export interface AuthorityKind<R extends AuthorityRecord, V> {
  /** As the log names it. */
  readonly name: 'X509 CA' | 'JWT key';
  readonly keyType: KeyType;
  /** The name of the slot's key in the KeyManager. */
  keyId(slot: SlotId): string;
  recordsOf(entries: JournalEntries): readonly R[];
  withRecords(entries: JournalEntries, records: readonly R[]): JournalEntries;
  make(key: Key, slot: SlotId): Promise<Made<R, V>>;
  /** Why a record of the journal cannot be used with the slot's key; undefined when it can. */
  whyUnusable(record: R, key: Key, bundle: Bundle): string | undefined;
  viewOf(record: R, key: Key): V;
  /** What the log tells about a record besides slot, times and ID. */
  logFields(record: R): Readonly<Record<string, unknown>>;
}

/** Where keys and journal are kept. */
export interface RotationDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly keyManager: Pick<KeyManager, 'generateKey' | 'getKey' | 'place' | 'keepCopy'>;
  readonly journal: Journal;
}

/** One authority, as the LocalAuthority API reports it. */
export interface AuthorityState {
  readonly authorityId: string;
  readonly status: AuthorityStatus | undefined;
  /** Unix seconds. */
  readonly notAfter: number;
}

/** The two slots of a kind, and how they take turns. Calls are made one at a time; `Authorities` sees to that. */
export interface Rotation<V, S extends AuthorityState> {
  /** What signs now; a new value only after the journal says so too. */
  readonly active: Observable<V | undefined>;
  readonly current: S | undefined;
  readonly next: S | undefined;
  /** Does whatever is due now. */
  advance(): Promise<void>;
  /** Makes a new authority in the next slot, whatever was there. */
  prepare(): Promise<void>;
  /** @throws FinialError `failed-precondition` when the next slot holds no prepared authority */
  activate(): Promise<void>;
}

/**
 * Takes up the rotation where the journal left it.
 *
 * A crash between any two steps is safe in this order. Preparing: (1) the slot's key is made, which spoils at most a
 * record that was no longer used; (2) the authority is made in memory; (3) the journal names it `prepared`; (4) the bundle
 * publishes it; only then is it known here. A record that reached the journal but not the bundle is dropped at start, and
 * nobody has seen that authority; one that reached both is taken up as prepared. Activating is one write of the journal.
 * So a root that is in the bundle is always in the journal too, and a restart never adds one in its place.
 *
 * @param bundle the trust domain's bundle as stored
 */
export async function takeUpRotation<R extends AuthorityRecord, V>(
  kind: AuthorityKind<R, V>,
  deps: RotationDeps,
  bundle: Bundle,
): Promise<Rotation<V, R>> {
  const { clock, journal, keyManager, log } = deps;
  let slots: Slots<R, V> = slotsOf(await usableAuthorities(kind, deps, bundle));
  const active = subject(slots.current.held?.view);
  if (slots.current.held !== undefined) log.info(`${kind.name} activated`, fieldsOf(kind, slots.current.held.record));

  const saveRecords = (change: (records: readonly R[]) => readonly R[]): Promise<void> =>
    journal.save(kind.withRecords(journal.entries, change(kind.recordsOf(journal.entries))));

  // In the journal, but maybe not in the bundle: it is published again rather than another one made in its place.
  let unpublished: Made<R, V> | undefined;

  const publish = async (made: Made<R, V>): Promise<void> => {
    unpublished = made;
    await made.publish();
    unpublished = undefined;
    slots = { ...slots, next: { ...slots.next, held: made } };
    log.info(`${kind.name} prepared`, fieldsOf(kind, made.record));
  };

  const prepare = async (): Promise<void> => {
    const { id } = slots.next;
    log.debug(`Preparing ${kind.name}`, { slot: id });
    const key = await keyManager.generateKey(kind.keyId(id), kind.keyType);
    slots = { ...slots, next: { id, held: undefined } };
    unpublished = undefined;
    const made = await kind.make(key, id);
    const isFirst = slots.current.held === undefined;
    await saveRecords((records) => withPrepared(isFirst ? withoutActive(records) : records, made.record));
    await publish(made);
  };

  const activate = async (): Promise<void> => {
    const { current, next } = slots;
    if (next.held === undefined || next.held.record.status === 'old') {
      throw new FinialError('failed-precondition', `no ${kind.name} is prepared`);
    }
    await saveRecords((records) => withActive(records, next.held?.record.authorityId ?? ''));
    slots = { current: withStatus(next, 'active'), next: withStatus(current, 'old') };
    active.publish(slots.current.held?.view);
    log.info(`${kind.name} activated`, fieldsOf(kind, next.held.record));
  };

  return {
    active,
    get current() {
      return slots.current.held?.record;
    },
    get next() {
      return slots.next.held?.record;
    },
    prepare,
    activate,
    async advance() {
      for (const step of dueSteps(slots, clock.now())) {
        if (step === 'activate') await activate();
        else await (unpublished === undefined ? prepare() : publish(unpublished));
      }
    },
  };
}

/**
 * The newest authorities of the journal that can be used now, an active one and another if there are, oldest first. One
 * that was to be used and cannot is told; old ones are expected to expire and to lose their keys.
 */
async function usableAuthorities<R extends AuthorityRecord, V>(
  kind: AuthorityKind<R, V>,
  { clock, journal, keyManager, log }: RotationDeps,
  bundle: Bundle,
): Promise<readonly Held<R, V>[]> {
  const usable: Held<R, V>[] = [];
  for (const record of kind.recordsOf(journal.entries).toReversed()) {
    const key = isSlotId(record.slotId) ? await keyManager.getKey(kind.keyId(record.slotId)) : undefined;
    const reason = whyUnusable(kind, record, key, bundle, clock.now());
    if (reason === undefined && key !== undefined) usable.unshift({ record, view: kind.viewOf(record, key) });
    else await tellUnusable(kind, record, reason, { keyManager, log });
    if (isComplete(usable)) break;
  }
  return usable;
}

/** Why a record is unusable that has the wrong key in its slot: another server's, or one of another time. */
export const OTHER_KEY = 'public key does not match key manager key';
const NO_KEY = 'no key manager key';

async function tellUnusable<R extends AuthorityRecord>(
  kind: AuthorityKind<R, unknown>,
  record: R,
  reason: string | undefined,
  { keyManager, log }: Pick<RotationDeps, 'keyManager' | 'log'>,
): Promise<void> {
  const message = `${kind.name} slot unusable`;
  const fields = { ...fieldsOf(kind, record), error: reason };
  if (record.status === 'old') return log.debug(message, fields);
  // A prepared one has lost its key to another when a crash came between the two writes.
  if (record.status !== 'active' || (reason !== NO_KEY && reason !== OTHER_KEY)) return log.warn(message, fields);
  const copy = reason === OTHER_KEY ? await keyManager.keepCopy?.() : undefined;
  const keys = { keys_path: keyManager.place, keys_copied_to: copy };
  log.error(message, { ...fields, ...keys, action: 'a new authority is made' });
}

function whyUnusable<R extends AuthorityRecord, V>(
  kind: AuthorityKind<R, V>,
  record: R,
  key: Key | undefined,
  bundle: Bundle,
  now: number,
): string | undefined {
  if (!isSlotId(record.slotId)) return 'no slot id';
  if (record.authorityId === '') return 'no authority id';
  if (record.notAfter * 1000 < now) return 'slot expired';
  if (key === undefined) return NO_KEY;
  return kind.whyUnusable(record, key, bundle);
}

function withStatus<R extends AuthorityRecord, V>(slot: Slot<R, V>, status: AuthorityStatus): Slot<R, V> {
  return slot.held === undefined ? slot : { ...slot, held: { ...slot.held, record: { ...slot.held.record, status } } };
}

function fieldsOf<R extends AuthorityRecord>(
  kind: AuthorityKind<R, unknown>,
  record: R,
): Readonly<Record<string, unknown>> {
  return {
    slot: record.slotId,
    issued_at: new Date(record.issuedAt * 1000),
    expiration: new Date(record.notAfter * 1000),
    local_authority_id: record.authorityId,
    ...kind.logFields(record),
  };
}

import type { Clock } from '../../common/clock.ts';
import { FinialError, messageOf, withContext } from '../../common/errors.ts';
import { every } from '../../common/every.ts';
import { type Closable, runTasks, type Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import { type Observable, subject } from '../../common/observable.ts';
import { oneAtATime } from '../../common/one-at-a-time.ts';
import type { BundleStore, JournalStore } from '../../plugins/datastore/sql/contract.ts';
import type { KeyManager } from '../../plugins/key-manager/contract.ts';
import type { UpstreamAuthority } from '../../plugins/upstream-authority/contract.ts';
import { emptyBundle, type JwtAuthority } from '../../spiffe/bundle/bundle.ts';
import type { KeyType } from '../../spiffe/signer.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { Subject } from '../../spiffe/x509/name.ts';
import { openJournal } from './journal/journal.ts';
import type { AuthorityRecord, TokenKeyRecord, X509Record } from './journal/record.ts';
import { type JwtKeyView, jwtKeyKind } from './jwt-key.ts';
import { type AuthorityKind, type AuthorityState, type Rotation, takeUpRotation } from './rotation.ts';
import { upkeepTasks } from './upkeep.ts';
import { upstreamOf } from './upstream.ts';
import { type X509CaView, x509CaKind } from './x509-ca.ts';

/** What the operator says of authorities; times are milliseconds. */
export interface AuthoritiesConfig {
  /** Milliseconds that a CA and a JWT key are valid. */
  readonly caTtl: number;
  readonly caKeyType: KeyType;
  readonly jwtKeyType: KeyType;
  /** The subject of CA certificates. */
  readonly caSubject: Subject;
  /** No JWT keys are made then. */
  readonly disableJwtSvids: boolean;
}

/** What authorities are made of, and where they leave their traces. */
export interface AuthoritiesDeps {
  readonly trustDomain: TrustDomain;
  readonly config: AuthoritiesConfig;
  readonly clock: Clock;
  readonly log: Logger;
  /** Random bytes. */
  readonly random: (size: number) => Buffer;
  readonly keyManager: KeyManager;
  readonly bundles: Pick<BundleStore, 'get' | 'append' | 'prune'>;
  readonly journals: JournalStore;
  /** Absent when the server signs its own root. */
  readonly upstream?: { readonly name: string; readonly authority: UpstreamAuthority };
}

/** The two slots of a kind, as the LocalAuthority API shows and drives them. */
export interface ManualRotation<S extends AuthorityState> {
  readonly current: S | undefined;
  /** Prepared, or old, or nothing. */
  readonly next: S | undefined;
  prepare(): Promise<void>;
  /** @throws FinialError `failed-precondition` unless the next authority is this one and prepared */
  activate(authorityId: string): Promise<void>;
}

/** What this server signs with. */
export interface Authorities extends Closable {
  readonly x509: Observable<X509CaView | undefined>;
  /** Always undefined when JWT-SVIDs are disabled. */
  readonly jwt: Observable<JwtKeyView | undefined>;
  readonly x509Rotation: ManualRotation<X509Record>;
  /** Absent when JWT-SVIDs are disabled. */
  readonly jwtRotation: ManualRotation<TokenKeyRecord> | undefined;
  /** Failures since a rotation last went through; more than ten in a row make the server unhealthy. */
  readonly failedRotations: number;
  /** Rotates every 10 s, prunes the bundle every 6 h and journals every 8 h. */
  readonly run: Task;
}

const ROTATION_INTERVAL_MS = 10_000;

/**
 * Takes up the authorities of the journal, or makes the first ones.
 *
 * @throws FinialError when afterwards there is nothing to sign with
 */
export async function startAuthorities(deps: AuthoritiesDeps): Promise<Authorities> {
  const stop = new AbortController();
  try {
    const rotations = await openRotations(deps, stop.signal);
    const failure = await rotateAll(rotations, deps.log);
    requireActive(rotations, deps.clock.now(), failure);
    return authoritiesOf(deps, rotations, failure === undefined ? 0 : 1, stop);
  } catch (error) {
    stop.abort();
    throw error;
  }
}

function authoritiesOf(
  deps: AuthoritiesDeps,
  rotations: Rotations,
  failures: number,
  stop: AbortController,
): Authorities {
  const { clock, log } = deps;
  let failedRotations = failures;
  // Both kinds write the one journal.
  const inTurn = oneAtATime();
  const rotate = (): Promise<void> =>
    inTurn(async () => {
      const failure = await rotateAll(rotations, log);
      failedRotations = failure === undefined ? 0 : failedRotations + 1;
    });
  return {
    x509: rotations.x509.active,
    jwt: rotations.jwt?.active ?? subject<JwtKeyView | undefined>(undefined),
    x509Rotation: manual(rotations.x509, inTurn),
    jwtRotation: rotations.jwt && manual(rotations.jwt, inTurn),
    get failedRotations() {
      return failedRotations;
    },
    async run(signal) {
      // A rotation that waits for the upstream must not hold up the end.
      signal.addEventListener('abort', () => stop.abort(), { once: true });
      const rotation: Task = (linked) => every(ROTATION_INTERVAL_MS, clock, linked, rotate);
      await runTasks({ rotation, ...upkeepTasks(deps) }, signal);
    },
    close: () => stop.abort(),
  };
}

/** JWT is absent when disabled. */
interface Rotations {
  readonly x509: Rotation<X509CaView, X509Record>;
  readonly jwt: Rotation<JwtKeyView, TokenKeyRecord> | undefined;
}

async function openRotations(deps: AuthoritiesDeps, signal: AbortSignal): Promise<Rotations> {
  const { bundles, config, trustDomain } = deps;
  const journal = await openJournal(deps);
  const bundle = (await bundles.get(trustDomain)) ?? emptyBundle(trustDomain);
  const upstream = deps.upstream && upstreamOf({ ...deps, ...deps.upstream, signal });
  const takeUp = <R extends AuthorityRecord, V>(kind: AuthorityKind<R, V>): Promise<Rotation<V, R>> =>
    takeUpRotation(kind, { ...deps, journal }, bundle);

  const x509 = await takeUp(
    x509CaKind({ ...deps, upstream, ttl: config.caTtl, keyType: config.caKeyType, subject: config.caSubject }),
  );
  if (config.disableJwtSvids) return { x509, jwt: undefined };
  const publish = (key: JwtAuthority): Promise<unknown> =>
    upstream?.publishJwtKey(key) ?? bundles.append({ trustDomain, jwtAuthorities: [key] });
  const jwt = await takeUp(jwtKeyKind({ ...deps, ttl: config.caTtl, keyType: config.jwtKeyType, publish }));
  return { x509, jwt };
}

/** Does what is due; logs and returns the first failure. */
async function rotateAll({ x509, jwt }: Rotations, log: Logger): Promise<unknown> {
  const x509Failure = await failureOf(x509.advance());
  if (x509Failure !== undefined) log.error('Unable to rotate X509 CA', { error: messageOf(x509Failure) });
  // Without an X.509 authority there is no journal that could keep a JWT key.
  if (x509.active.current === undefined || jwt === undefined) return x509Failure;
  const jwtFailure = await failureOf(jwt.advance());
  if (jwtFailure !== undefined) log.error('Unable to rotate JWT key', { error: messageOf(jwtFailure) });
  return x509Failure ?? jwtFailure;
}

async function failureOf(work: Promise<void>): Promise<unknown> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error ?? new FinialError('internal', 'failed without an error');
  }
}

/** A server may start although a rotation failed, as long as what it has still signs. */
function requireActive({ x509, jwt }: Rotations, now: number, failure: unknown): void {
  const signs = (view: { readonly notAfter: number } | undefined): boolean =>
    view !== undefined && view.notAfter * 1000 > now;
  if (signs(x509.active.current) && (jwt === undefined || signs(jwt.active.current))) return;
  throw withContext('no authority to sign with', failure ?? new FinialError('internal', 'rotation made none'));
}

function manual<S extends AuthorityState>(
  rotation: Rotation<unknown, S>,
  inTurn: ReturnType<typeof oneAtATime>,
): ManualRotation<S> {
  return {
    get current() {
      return rotation.current;
    },
    get next() {
      return rotation.next;
    },
    prepare: () => inTurn(() => rotation.prepare()),
    activate: (authorityId) =>
      inTurn(async () => {
        if (rotation.next?.authorityId !== authorityId) {
          throw new FinialError('failed-precondition', 'the authority is not the next one');
        }
        await rotation.activate();
      }),
  };
}

/** When something is valid. Unix milliseconds. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** When something began to be valid, and when it was received. Unix milliseconds, each by the clock of the time. */
export interface Received {
  readonly notBefore: number;
  readonly receivedAt: number;
}

/** A number from [0, 1), drawn anew at each call; `Math.random` will do, as it only spreads load. */
export type Random = () => number;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** An authority's successor is prepared this part of the lifetime before the end, but at most so long before it. */
const PREPARE = { divisor: 2, cap: 30 * DAY };
/** Likewise for the moment at which the successor takes over. */
const ACTIVATE = { divisor: 6, cap: 7 * DAY };
/** An availability target is followed only when it leaves more than this of the lifetime before it. */
const AVAILABILITY_GRACE = 12 * HOUR;
const AVAILABILITY_JITTER = 10 * MINUTE;
const HALF_LIFE_JITTER = 0.1;

function beforeEnd(
  { notBefore, notAfter }: Validity,
  rule: { readonly divisor: number; readonly cap: number },
): number {
  return notAfter - Math.min((notAfter - notBefore) / rule.divisor, rule.cap);
}

/** After this moment (Unix ms) the next authority is prepared. */
export function prepareAfter(current: Validity): number {
  return beforeEnd(current, PREPARE);
}

/** After this moment (Unix ms) the prepared authority takes over. */
export function activateAfter(current: Validity): number {
  return beforeEnd(current, ACTIVATE);
}

/** Certificates begin to be valid so long before they are made (x509/profile.ts). */
const BACKDATE = 10_000;

/**
 * Whether an authority cannot sign because the clock was set back to before it was made: whoever goes by the same clock
 * takes neither its certificate nor what it signs.
 *
 * @param now Unix ms
 */
export function isMadeInFuture({ notBefore }: Pick<Validity, 'notBefore'>, now: number): boolean {
  return now < notBefore - BACKDATE;
}

/**
 * Whether the clock was set back since an SVID was received, to before the SVID is valid: it is from a time that was
 * wrong. One that came before its time, as the clock of whoever issued it is ahead, is not meant: the next one would be
 * no better, and would be asked for without end.
 *
 * @param svid Unix ms; `notBefore` is the `iat` of a JWT-SVID
 * @param now Unix ms
 */
export function isBeforeItsTime(svid: Received, now: number): boolean {
  return now < svid.notBefore && now < svid.receivedAt - BACKDATE;
}

/** What is due for a pair of authorities; `prepare` may be followed by `activate` in the same check. */
export type AuthorityStep = 'prepare' | 'activate';

/**
 * What is due for the authorities of one kind, in order. The same machine serves X.509, JWT and WIT authorities.
 *
 * @param current absent when there is none yet, or it expired while the server was down; `notBefore` is when it was made
 * @param hasPrepared whether a successor is prepared already
 * @param now Unix ms
 */
export function authoritySteps(current: Validity | undefined, hasPrepared: boolean, now: number): AuthorityStep[] {
  if (current === undefined || now >= current.notAfter || isMadeInFuture(current, now))
    return hasPrepared ? ['activate'] : ['prepare', 'activate'];
  const steps: AuthorityStep[] = [];
  if (!hasPrepared && now > prepareAfter(current)) steps.push('prepare');
  if (now > activateAfter(current)) steps.push('activate');
  return steps;
}

/**
 * Whether an agent renews an X509-SVID, its own or a workload's: when it expired, when no more than the availability
 * target is left of it, or at its half-life. Both bounds are spread by chance so that a fleet does not renew at once.
 *
 * @param availabilityTarget how long SVIDs must outlive an outage of the server, ms; 0 for none
 */
export function shouldRenewX509Svid(svid: Validity, now: number, random: Random, availabilityTarget = 0): boolean {
  const left = svid.notAfter - now;
  if (left <= 0) return true;
  if (availabilityTarget > 0 && !isAvailabilityTargetIgnored(svid, availabilityTarget)) {
    if (left <= availabilityTarget + random() * AVAILABILITY_JITTER) return true;
  }
  return left <= spreadHalfLife(svid, random);
}

/** Whether the lifetime is too short for the target to be followed, which an agent logs. */
export function isAvailabilityTargetIgnored({ notBefore, notAfter }: Validity, availabilityTarget: number): boolean {
  return availabilityTarget > 0 && notAfter - notBefore - availabilityTarget <= AVAILABILITY_GRACE;
}

/**
 * Whether a cached JWT-SVID may still be handed out: it has more than about half of its lifetime left. An availability
 * target plays no part.
 *
 * @param svid from `iat` to `exp`
 */
export function isJwtSvidFresh(svid: Validity, now: number, random: Random): boolean {
  const left = svid.notAfter - now;
  return left > 0 && left > spreadHalfLife(svid, random);
}

/** Whether a server renews its own X509-SVID: after its half-life, with no spread as there is only one. */
export function isPastHalfLife({ notBefore, notAfter }: Validity, now: number): boolean {
  return now > notBefore + (notAfter - notBefore) / 2;
}

/** Half of the lifetime, give or take a tenth of that half. */
function spreadHalfLife({ notBefore, notAfter }: Validity, random: Random): number {
  return ((notAfter - notBefore) / 2) * (1 - HALF_LIFE_JITTER + random() * 2 * HALF_LIFE_JITTER);
}

/** The longest SVID lifetime (ms) that no scheduled rotation of an authority with lifetime `caTtl` (ms) cuts short. */
function maxSvidTtl(caTtl: number): number {
  return Math.min(caTtl / ACTIVATE.divisor, ACTIVATE.cap);
}

/** The shortest authority lifetime (ms) under which SVIDs of `svidTtl` (ms, at most 7 days) are never cut short. */
function minCaTtl(svidTtl: number): number {
  return svidTtl * ACTIVATE.divisor;
}

/** How to make SVID and CA lifetimes fit, when SVIDs may be issued shorter than configured. All ms. */
export type TtlAdvice =
  | { readonly kind: 'fits' }
  /** Either change alone is enough. */
  | { readonly kind: 'lower-svid-or-raise-ca'; readonly maxSvidTtl: number; readonly minCaTtl: number }
  /** Both are needed. */
  | { readonly kind: 'lower-svid-and-raise-ca'; readonly maxSvidTtl: number; readonly minCaTtl: number }
  | { readonly kind: 'lower-svid'; readonly maxSvidTtl: number };

/** Whether SVIDs live as long as configured under authorities of the configured lifetime, and what to change if not. */
export function adviseTtl(caTtl: number, svidTtl: number): TtlAdvice {
  if (svidTtl <= maxSvidTtl(caTtl)) return { kind: 'fits' };
  if (svidTtl < ACTIVATE.cap) {
    return { kind: 'lower-svid-or-raise-ca', maxSvidTtl: maxSvidTtl(caTtl), minCaTtl: minCaTtl(svidTtl) };
  }
  if (caTtl < minCaTtl(ACTIVATE.cap)) {
    return { kind: 'lower-svid-and-raise-ca', maxSvidTtl: ACTIVATE.cap, minCaTtl: minCaTtl(ACTIVATE.cap) };
  }
  return { kind: 'lower-svid', maxSvidTtl: maxSvidTtl(caTtl) };
}

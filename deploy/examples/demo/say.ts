import { X509Certificate } from 'node:crypto';
import type { X509Svid } from '../../../client/index.ts';

/** One thing that a workload of the demo reports, as a line of JSON on its standard output. */
export type Said = { readonly event: string } & Readonly<Record<string, unknown>>;

/** Tells the demo what happened, as one line of JSON on stdout. */
export function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`);
}

/** Reports an X509-SVID by what is public about it. */
export function sayIdentity(event: string, svid: X509Svid): void {
  const [leaf] = svid.chain;
  if (leaf === undefined) throw new Error('the X509-SVID has no certificate');
  const serial = new X509Certificate(leaf).serialNumber;
  say({ event, id: svid.id, serial, until: new Date(svid.notAfter).toISOString() });
}

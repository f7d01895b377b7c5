const PREFIX_BYTES = 5;
const PADDED = 0x8;
const PRIORITY = 0x20;

/** The content of a DATA or HEADERS frame, without the padding around it (RFC 9113 6.1 and 6.2). */
export function contentOf(flags: number, payload: Buffer): Buffer {
  return (flags & PADDED) === 0 ? payload : payload.subarray(1, payload.length - (payload[0] ?? 0));
}

/** The part of a header block that a HEADERS frame carries. */
export function blockOf(flags: number, payload: Buffer): Buffer {
  const content = contentOf(flags, payload);
  return Buffer.from((flags & PRIORITY) === 0 ? content : content.subarray(5));
}

/** Hands over the messages that are whole with `data`, and keeps the rest for the next time. */
export function readMessages(call: { held: Buffer; message(bytes: Buffer): void }, data: Buffer): void {
  let held = call.held.length === 0 ? data : Buffer.concat([call.held, data]);
  while (held.length >= PREFIX_BYTES) {
    const end = PREFIX_BYTES + held.readUInt32BE(1);
    if (held.length < end) break;
    call.message(held.subarray(PREFIX_BYTES, end));
    held = held.subarray(end);
  }
  call.held = held;
}

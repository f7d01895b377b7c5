import type net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';

/** RFC 9113 3.4: what a client sends before its first frame. */
const PREFACE_BYTES = 24;
const FRAME_HEADER_BYTES = 9;
const HEADERS = 1;
const PADDED = 0x08;
const PRIORITY = 0x20;
/** A longer frame breaks the default SETTINGS_MAX_FRAME_SIZE, which the HTTP/2 library will say. */
const MOST_FRAME_BYTES = 16_384;
/** RFC 7541 Appendix A: the entry of the static table whose name is `:authority`. */
const AUTHORITY = 1;
const SUBSTITUTE = 0x2e; // a dot

/**
 * The same connection for Node's HTTP/2 library, which ends every request whose `:authority` is no authority. Java's
 * gRPC library calls a server on a Unix socket by the path of that socket (`/run/agent.sock`), so each byte that may not
 * stand in an authority is replaced by a dot here. No byte is added or taken away; what is a header and where it ends is
 * read from the lengths alone (RFC 7541 6), so frames and the tables of both sides stay as the client believes them to be.
 */
export function withReadableAuthority(socket: net.Socket): net.Socket {
  return new SocketOfStream(filtered(socket));
}

/**
 * The class in which Node itself wraps streams that are no sockets, for TLS and HTTP/2. HTTP/2 would do so by itself, but
 * then nobody could name the connection. Node exports it nowhere, so it is taken from a TLS socket over such a stream.
 */
const SocketOfStream = (() => {
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const probe = new tls.TLSSocket(stream) as unknown as {
    _handle: { _parentWrap: object };
    destroy(): void;
  };
  const wrap = probe._handle._parentWrap;
  probe.destroy();
  return wrap.constructor as new (
    stream: Duplex,
  ) => net.Socket;
})();

function filtered(socket: net.Socket): Duplex {
  const readable = authorityReader();
  const duplex = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    for (const part of readable(chunk)) if (!duplex.push(part)) socket.pause();
  });
  socket.on('end', () => duplex.push(null));
  socket.on('error', (error) => duplex.destroy(error));
  socket.on('close', () => duplex.destroy());
  return duplex;
}

/** Takes what the client sends piece by piece and gives it back, whole frames of headers at once. */
export function authorityReader(): (chunk: Buffer) => Buffer[] {
  /** Bytes of the preface or of a frame's payload that pass unread. */
  let passing = PREFACE_BYTES;
  let held: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const parts: Buffer[] = [];
    let rest = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (rest.length > 0) {
      if (passing > 0) {
        const part = rest.subarray(0, passing);
        parts.push(part);
        passing -= part.length;
        rest = rest.subarray(part.length);
        continue;
      }
      if (rest.length < FRAME_HEADER_BYTES) break;
      const length = rest.readUIntBE(0, 3);
      if (rest[3] !== HEADERS || length > MOST_FRAME_BYTES) {
        passing = FRAME_HEADER_BYTES + length;
        continue;
      }
      const end = FRAME_HEADER_BYTES + length;
      if (rest.length < end) break;
      const frame = Buffer.from(rest.subarray(0, end));
      mendAuthority(blockOf(frame));
      parts.push(frame);
      rest = rest.subarray(end);
    }
    held = rest;
    return parts;
  };
}

/** The part of a HEADERS frame that holds headers (RFC 9113 6.2). */
function blockOf(frame: Buffer): Buffer {
  const flags = frame.readUInt8(4);
  const padded = (flags & PADDED) !== 0 && frame.length > FRAME_HEADER_BYTES;
  const start = FRAME_HEADER_BYTES + (padded ? 1 : 0) + ((flags & PRIORITY) === 0 ? 0 : 5);
  const padding = padded ? frame.readUInt8(FRAME_HEADER_BYTES) : 0;
  return frame.subarray(start, Math.max(start, frame.length - padding));
}

/** Walks the headers of a block (RFC 7541 6), in place. A block that ends within a header is left as it is from there. */
function mendAuthority(block: Buffer): void {
  let at = 0;
  while (at < block.length) {
    const first = block.readUInt8(at);
    // An indexed header, or a change of the table's size: one number and nothing else.
    if ((first & 0x80) !== 0 || (first & 0xe0) === 0x20) {
      at = numberAt(block, at, (first & 0x80) === 0 ? 5 : 7).next;
      continue;
    }
    const name = numberAt(block, at, (first & 0x40) === 0 ? 4 : 6);
    const value = stringAt(block, name.value === 0 ? stringAt(block, name.next).next : name.next);
    // A value in Huffman's code would have to be decoded; Java's library writes such short ones plainly.
    if (name.value === AUTHORITY && !value.huffman) mend(block.subarray(value.start, value.next));
    at = value.next;
  }
}

/** What RFC 3986 3.2 allows in an authority. */
function mend(authority: Buffer): void {
  for (let i = 0; i < authority.length; i += 1) {
    if (!/[\w.~!$&'()*+,;=:@%[\]-]/.test(String.fromCharCode(authority.readUInt8(i)))) authority[i] = SUBSTITUTE;
  }
}

/** RFC 7541 5.1. Past the end of the block `next` is past it too. */
function numberAt(block: Buffer, at: number, bits: number): { readonly value: number; readonly next: number } {
  const most = 2 ** bits - 1;
  let value = (block[at] ?? 0) & most;
  if (value < most) return { value, next: at + 1 };
  let next = at + 1;
  for (let factor = 1; next < block.length; factor *= 128) {
    const byte = block.readUInt8(next);
    value += (byte & 0x7f) * factor;
    next += 1;
    if ((byte & 0x80) === 0) return { value, next };
  }
  return { value, next: block.length };
}

/** RFC 7541 5.2. */
function stringAt(block: Buffer, at: number) {
  const length = numberAt(block, at, 7);
  return { huffman: ((block[at] ?? 0) & 0x80) !== 0, start: length.next, next: length.next + length.value };
}

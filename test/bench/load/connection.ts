import type { Duplex } from 'node:stream';
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  headerBlock,
  PREFACE,
  settingsPayload,
  uint32,
} from '../../support/raw-http2.ts';
import { blockOf, contentOf, readMessages } from './frames.ts';
import { decodeHeaders } from './hpack.ts';

// gRPC written out for one purpose: to ask as much of a server as it can answer, at a fraction of the server's cost.
// Requests are encoded beforehand, headers are one block of bytes, and of an answer only status and messages are read.

const HEADER_BYTES = 9;
const ACK = 0x1;
/** As large as HTTP/2 allows: the load side never makes a server wait. */
const WINDOW = 2 ** 31 - 1;
const DEFAULT_WINDOW = 65_535;
/** Given back to the server when this much of the connection's window was used. */
const RETURN_AT = 2 ** 30;
const SETTING = { tableSize: 1, push: 2, maxStreams: 3, window: 4, maxFrame: 5 } as const;
const CANCEL = 8;

/** How a call ends that the server refused to begin before it said good-bye; it may be made again elsewhere. */
export const NOT_PROCESSED = 'the server said good-bye before it took the call';

/** What happens to a call. */
export interface CallEvents {
  /** Each message of the answer. */
  message(bytes: Buffer): void;
  /** The end: a gRPC status code, or undefined when the stream or the connection was cut. */
  end(status: number | undefined, message: string): void;
}

interface OpenCall extends CallEvents {
  held: Buffer;
  status: number | undefined;
  statusMessage: string;
  headers: Buffer[];
  /** Bytes that the server still takes for this call. */
  window: number;
  /** Of the request, not sent yet. */
  rest: Buffer;
}

/** The block of headers of a method, to be sent with every call. */
export function callBlock(path: string, scheme: 'http' | 'https'): Buffer {
  return headerBlock([
    [':method', 'POST'],
    [':scheme', scheme],
    [':path', path],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ['workload.spiffe.io', 'true'],
  ]);
}

/** A message as it lies on the wire, uncompressed, with its length before it. */
export function framed(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(0), uint32(message.length), message]);
}

/** One connection that makes calls; owns its socket. */
export class LoadConnection {
  readonly #socket: Duplex;
  readonly #calls = new Map<number, OpenCall>();
  readonly #waiting: (() => void)[] = [];
  /** Blocks of trailers repeat byte by byte, as there is no dynamic table. */
  readonly #known = new Map<string, Map<string, string>>();
  #held: Buffer = Buffer.alloc(0);
  #out: Buffer[] = [];
  #next = 1;
  #window = DEFAULT_WINDOW;
  #peerWindow = DEFAULT_WINDOW;
  #maxFrame = 16_384;
  #maxStreams = Number.POSITIVE_INFINITY;
  #received = 0;
  #closed = false;
  #leaving = false;

  /** @param socket connected already */
  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => undefined);
    socket.once('close', () => this.#cut());
    const settings = settingsPayload([
      [SETTING.tableSize, 0],
      [SETTING.push, 0],
      [SETTING.window, WINDOW],
      [SETTING.maxFrame, 2 ** 24 - 1],
    ]);
    this.#send(PREFACE, frame(FRAME.settings, 0, 0, settings));
    this.#send(frame(FRAME.windowUpdate, 0, 0, uint32(WINDOW - DEFAULT_WINDOW)));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the server said good-bye (RFC 9113 6.8): a new connection has to be made for further calls. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /**
   * Begins a call; when the server allows no more streams, it waits for another one to end.
   *
   * @param block from `callBlock`; `request` from `framed`
   * @returns a function that cancels it
   */
  call(block: Buffer, request: Buffer, events: CallEvents): () => void {
    let id = 0;
    let cancelled = false;
    const begin = (): void => {
      if (cancelled) return;
      if (this.#leaving) {
        events.end(undefined, NOT_PROCESSED);
        return;
      }
      if (this.#closed) {
        events.end(undefined, 'the connection is closed');
        return;
      }
      id = this.#next;
      this.#next += 2;
      const state = { held: Buffer.alloc(0), status: undefined, statusMessage: '', headers: [], rest: request };
      const open: OpenCall = { ...state, ...events, window: this.#peerWindow };
      this.#calls.set(id, open);
      this.#send(frame(FRAME.headers, END_HEADERS, id, block));
      this.#pump(id, open);
    };
    if (this.#calls.size < this.#maxStreams) begin();
    else this.#waiting.push(begin);
    return () => {
      cancelled = true;
      if (!this.#calls.delete(id)) return;
      this.#send(frame(FRAME.rstStream, 0, id, uint32(CANCEL)));
      this.#goOn();
    };
  }

  close(): void {
    this.#socket.destroy();
    this.#cut();
  }

  /** Sends as much of a request as the windows allow. */
  #pump(id: number, call: OpenCall): void {
    while (call.rest.length > 0) {
      const size = Math.min(call.rest.length, call.window, this.#window, this.#maxFrame);
      if (size <= 0) return;
      const last = size === call.rest.length;
      this.#send(frame(FRAME.data, last ? END_STREAM : 0, id, call.rest.subarray(0, size)));
      call.rest = call.rest.subarray(size);
      call.window -= size;
      this.#window -= size;
    }
  }

  /** Collects what is written in one turn into one write. */
  #send(...parts: readonly Buffer[]): void {
    if (this.#out.length === 0) {
      queueMicrotask(() => {
        const out = this.#out;
        this.#out = [];
        if (!this.#socket.destroyed) this.#socket.write(Buffer.concat(out));
      });
    }
    this.#out.push(...parts);
  }

  #read(chunk: Buffer): void {
    let held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    while (held.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + held.readUIntBE(0, 3);
      if (held.length < end) break;
      const stream = held.readUInt32BE(5) & 0x7fffffff;
      this.#take(held[3] ?? 0, held[4] ?? 0, stream, held.subarray(HEADER_BYTES, end));
      held = held.subarray(end);
    }
    this.#held = held;
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    const call = this.#calls.get(stream);
    if (type === FRAME.data) {
      this.#received += payload.length;
      if (this.#received > RETURN_AT) {
        this.#send(frame(FRAME.windowUpdate, 0, 0, uint32(this.#received)));
        this.#received = 0;
      }
      if (call !== undefined) readMessages(call, contentOf(flags, payload));
    } else if (type === FRAME.headers || type === FRAME.continuation) {
      call?.headers.push(type === FRAME.headers ? blockOf(flags, payload) : payload);
      if (call !== undefined && (flags & END_HEADERS) !== 0) this.#headers(call);
    } else if (type === FRAME.settings) {
      if ((flags & ACK) === 0) this.#settings(payload);
    } else if (type === FRAME.ping) {
      if ((flags & ACK) === 0) this.#send(frame(FRAME.ping, ACK, 0, Buffer.from(payload)));
    } else if (type === FRAME.windowUpdate) {
      this.#grow(call, stream, payload.readUInt32BE(0) & 0x7fffffff);
    } else if (type === FRAME.goaway) {
      this.#leave(payload.readUInt32BE(0) & 0x7fffffff);
    } else if (type === FRAME.rstStream) {
      if (call !== undefined) this.#end(stream, call);
      return;
    }
    const ends = (type === FRAME.data || type === FRAME.headers) && (flags & END_STREAM) !== 0;
    if (ends && call !== undefined) this.#end(stream, call);
  }

  #headers(call: OpenCall): void {
    const block = call.headers.length === 1 ? (call.headers[0] ?? Buffer.alloc(0)) : Buffer.concat(call.headers);
    call.headers = [];
    const key = block.toString('latin1');
    let headers = this.#known.get(key);
    if (headers === undefined) {
      headers = decodeHeaders(block);
      if (this.#known.size < 1000) this.#known.set(key, headers);
    }
    const status = headers.get('grpc-status');
    if (status === undefined) return;
    call.status = Number(status);
    call.statusMessage = headers.get('grpc-message') ?? '';
  }

  #settings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      const id = payload.readUInt16BE(at);
      if (id === SETTING.maxStreams) this.#maxStreams = value;
      if (id === SETTING.maxFrame) this.#maxFrame = value;
      if (id === SETTING.window) {
        for (const call of this.#calls.values()) call.window += value - this.#peerWindow;
        this.#peerWindow = value;
      }
    }
    this.#send(frame(FRAME.settings, ACK, 0));
    for (const [id, call] of this.#calls) this.#pump(id, call);
  }

  #grow(call: OpenCall | undefined, stream: number, by: number): void {
    if (stream !== 0) {
      if (call === undefined) return;
      call.window += by;
      this.#pump(stream, call);
      return;
    }
    this.#window += by;
    for (const [id, one] of this.#calls) this.#pump(id, one);
  }

  #end(id: number, call: OpenCall): void {
    this.#calls.delete(id);
    call.end(call.status, call.statusMessage);
    this.#goOn();
  }

  /** After a call is over. */
  #goOn(): void {
    this.#waiting.shift()?.();
    if (this.#leaving && this.#calls.size === 0) this.close();
  }

  /** Calls up to `last` are still answered. */
  #leave(last: number): void {
    this.#leaving = true;
    for (const [id, call] of this.#calls) {
      if (id <= last) continue;
      this.#calls.delete(id);
      call.end(undefined, NOT_PROCESSED);
    }
    for (const begin of this.#waiting.splice(0)) begin();
    if (this.#calls.size === 0) this.close();
  }

  #cut(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const [id, call] of this.#calls) {
      this.#calls.delete(id);
      call.end(undefined, 'the connection was cut');
    }
    for (const begin of this.#waiting.splice(0)) begin();
  }
}

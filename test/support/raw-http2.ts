import net from 'node:net';
import tls from 'node:tls';

// HTTP/2 written by hand, for what no library would send.

/** RFC 9113 3.4. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** RFC 9113 6: the numbers of the frames. */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;
const FRAME_HEADER_BYTES = 9;

/** One frame as it was on the wire. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** The bytes of a frame. Nothing is checked: wrong numbers are the point. */
export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(FRAME_HEADER_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** What a client sends first: the preface and its settings, given as pairs of number and value. */
export function opening(...settings: readonly (readonly [id: number, value: number])[]): Buffer {
  return Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, settingsPayload(settings))]);
}

export function settingsPayload(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  return Buffer.concat(
    settings.map(([id, value]) => {
      const bytes = Buffer.alloc(6);
      bytes.writeUInt16BE(id, 0);
      bytes.writeUInt32BE(value, 2);
      return bytes;
    }),
  );
}

/** A number of 32 bits, as WINDOW_UPDATE, RST_STREAM and GOAWAY carry them. */
export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

/** RFC 7541 6.2.2: each header a literal with a new name, plain and not indexed. */
export function headerBlock(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.of(0), plain(name), plain(value)]));
}

function plain(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

/** RFC 7541 5.1, with nothing set above the prefix. */
export function integer(value: number, prefixBits: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.of(value);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

export type Headers = readonly (readonly [name: string, value: string])[];

/** The headers of a gRPC call; `more` come last. */
export function callHeaders(path: string, more: Headers = []): Headers {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ['workload.spiffe.io', 'true'],
    ...more,
  ];
}

/** The HEADERS frame that begins a call. */
export function callStart(stream: number, path: string, more: Headers = []): Buffer {
  return frame(FRAME.headers, END_HEADERS, stream, headerBlock(callHeaders(path, more)));
}

/** A DATA frame with one gRPC message, as the only one unless told. */
export function messageFrame(stream: number, message: Buffer, flags: number = END_STREAM): Buffer {
  return frame(FRAME.data, flags, stream, Buffer.concat([Buffer.of(0), uint32(message.length), message]));
}

/** A whole call with one request. */
export function call(stream: number, path: string, message: Buffer = Buffer.alloc(0), more: Headers = []): Buffer {
  return Buffer.concat([callStart(stream, path, more), messageFrame(stream, message)]);
}

/** Where to connect. */
export type Target = { readonly socketPath: string } | { readonly port: number };

/** A connection of bytes; frames that come in are read. */
export interface RawConnection {
  readonly socket: net.Socket;
  send(...bytes: readonly Buffer[]): void;
  /** What the server sent, payloads of DATA cut to 64 bytes. */
  readonly frames: readonly Frame[];
  /** How the server said good-bye: the error code of its GOAWAY; undefined as long as it did not. */
  readonly goaway: number | undefined;
  readonly closed: boolean;
  readonly whenClosed: Promise<void>;
  destroy(): void;
}

/** For TCP alone; `localAddress` is where the connection comes from. */
export type DialOptions = tls.ConnectionOptions & Pick<net.TcpNetConnectOpts, 'localAddress'>;

/** Begins to connect, over TLS to a port and plainly to a path. */
export function dial(target: Target, options: DialOptions = {}): net.Socket {
  if ('socketPath' in target) return net.connect(target.socketPath);
  // Whom it attacks is no matter.
  const anybody = { rejectUnauthorized: false, ALPNProtocols: ['h2'] };
  return tls.connect({ host: '127.0.0.1', port: target.port, ...anybody, ...options });
}

/**
 * Connects, over TLS to a port and plainly to a path, and resolves when bytes can be sent.
 *
 * @param options for TLS; `timeout` also bounds a silent connection
 * @throws what the connection fails with
 */
export async function connectRaw(target: Target, options: DialOptions = {}): Promise<RawConnection> {
  const socket = dial(target, options);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('timeout', () => socket.destroy(new Error('no connection in time')));
    socket.once(socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect', () => resolve());
  });
  return rawConnection(socket);
}

/** Reads frames from a socket that is connected. */
export function rawConnection(socket: net.Socket): RawConnection {
  const frames: Frame[] = [];
  let goaway: number | undefined;
  let closed = false;
  const read = frameReader((one) => {
    frames.push(one);
    if (one.type === FRAME.goaway && one.payload.length >= 8) goaway = one.payload.readUInt32BE(4);
  });
  // Being cut off is what happens here; how is told by `goaway` and `closed`.
  socket.on('error', () => undefined);
  socket.on('data', read);
  const whenClosed = new Promise<void>((resolve) => {
    const over = (): void => {
      closed = true;
      resolve();
    };
    socket.once('close', over);
    if (socket.destroyed) over();
  });
  return {
    socket,
    send(...bytes) {
      if (!socket.destroyed) socket.write(Buffer.concat(bytes));
    },
    frames,
    get goaway() {
      return goaway;
    },
    get closed() {
      return closed;
    },
    whenClosed,
    destroy: () => void socket.destroy(),
  };
}

const KEPT_DATA_BYTES = 64;

function frameReader(take: (frame: Frame) => void): (chunk: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  return (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + held.readUIntBE(0, 3);
      if (held.length < end) return;
      const type = held.readUInt8(3);
      const payload = held.subarray(FRAME_HEADER_BYTES, type === FRAME.data ? Math.min(end, KEPT_DATA_BYTES) : end);
      take({
        type,
        flags: held.readUInt8(4),
        stream: held.readUInt32BE(5) & 0x7fffffff,
        payload: Buffer.from(payload),
      });
      held = held.subarray(end);
    }
  };
}

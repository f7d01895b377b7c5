import net from 'node:net';
import { END_HEADERS, END_STREAM, FRAME, frame, headerBlock, PREFACE } from '../../support/raw-http2.ts';
import { framed } from './connection.ts';

// Answers every call with the same bytes: what a server would cost that did nothing.

const ANSWER_BYTES = 600;
const HEADER_BYTES = 9;
const status = headerBlock([
  [':status', '200'],
  ['content-type', 'application/grpc'],
]);
const trailers = headerBlock([['grpc-status', '0']]);
const answer = framed(Buffer.alloc(ANSWER_BYTES, 'y'));

const server = net.createServer((socket) => {
  let held: Buffer = Buffer.alloc(0);
  let greeted = false;
  socket.on('error', () => undefined);
  socket.write(frame(FRAME.settings, 0, 0));
  // Windows that never close.
  socket.write(frame(FRAME.windowUpdate, 0, 0, Buffer.from([0x7f, 0xff, 0, 0])));
  socket.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    if (!greeted) {
      if (held.length < PREFACE.length) return;
      held = held.subarray(PREFACE.length);
      greeted = true;
    }
    const out: Buffer[] = [];
    while (held.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + held.readUIntBE(0, 3);
      if (held.length < end) break;
      const stream = held.readUInt32BE(5);
      if (held[3] === FRAME.data && ((held[4] ?? 0) & END_STREAM) !== 0) {
        out.push(frame(FRAME.headers, END_HEADERS, stream, status), frame(FRAME.data, 0, stream, answer));
        out.push(frame(FRAME.headers, END_HEADERS + END_STREAM, stream, trailers));
      }
      held = held.subarray(end);
    }
    if (out.length > 0) socket.write(Buffer.concat(out));
  });
});
server.listen(process.argv[2] ?? '', () => process.send?.('listening'));
process.on('disconnect', () => process.exit());

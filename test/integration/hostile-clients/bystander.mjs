// A client that behaves, as a process of its own: what it measures is the daemon's delay and not the attacker's.
// Calls until its standard input ends, then prints { calls, failures, samples } as JSON; samples are milliseconds.
import { connect } from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';

/** How long a call may take before it counts as not answered; generous, since machines are slow. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 10;
/** Each so many calls one is made over a connection of its own, as a new client would. */
const FRESH = 4;

const { socketPath, port, method } = JSON.parse(process.argv[2] ?? '{}');
const empty = Buffer.alloc(5);

function open() {
  const createConnection = () =>
    socketPath === undefined
      ? tls.connect({ host: '127.0.0.1', port, ALPNProtocols: ['h2'], rejectUnauthorized: false })
      : net.connect(socketPath);
  const session = connect('http://localhost', { createConnection });
  session.on('error', () => undefined);
  return session;
}

/** Resolves when the first message of the answer has come. */
function callOnce(session) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(new Error('no answer in time')), PATIENCE_MS);
    const end = (error) => {
      clearTimeout(timer);
      session.off('close', lost);
      if (error === undefined) resolve();
      else reject(error);
    };
    const lost = () => end(new Error('connection lost'));
    session.once('close', lost);
    const stream = session.request({
      ':method': 'POST',
      ':path': method,
      'content-type': 'application/grpc',
      te: 'trailers',
      'workload.spiffe.io': 'true',
    });
    stream.on('error', end);
    stream.on('response', (headers) => {
      const status = headers['grpc-status'];
      if (status !== undefined && status !== '0') end(new Error(`status ${status}: ${headers['grpc-message']}`));
    });
    stream.once('data', () => {
      end();
      stream.close();
    });
    stream.once('close', () => end(new Error('stream closed without an answer')));
    stream.end(empty);
  });
}

const samples = [];
const failures = [];
const caller = { stopped: false };
process.stdin.on('end', () => (caller.stopped = true)).resume();

let warm = open();
for (let calls = 0; !caller.stopped; calls += 1) {
  const fresh = calls % FRESH === 0;
  if (warm.destroyed) warm = open();
  const session = fresh ? open() : warm;
  const start = performance.now();
  try {
    await callOnce(session);
    samples.push(performance.now() - start);
  } catch (error) {
    failures.push(`${fresh ? 'fresh' : 'warm'}: ${error.message}`);
  }
  if (fresh) session.destroy();
  if (samples.length === 1 && failures.length === 0) process.stdout.write('ready\n');
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
warm.destroy();
process.stdout.write(`${JSON.stringify({ samples, failures })}\n`);

const { existsSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

/**
 * As many threads for signatures as there are processors: with more of them, each signature wakes one that sleeps, which
 * costs the event loop as much as the signature would. On 2 processors 2 instead of 4 threads gave 12 to 15 % more
 * X509-SVIDs per second of processor time, on Node.js 20 and 24. Not fewer than 2, so that a slow file or name does not
 * hold up everything, nor more than libuv's own 4, which one event loop does not keep busy.
 *
 * What reads the first ES module starts the threads; that is why the launchers are CommonJS.
 */
const FEWEST_THREADS = 2;
const MOST_THREADS = 4;

/** Runs the program of that name in dist/cli. */
module.exports = async (name, cli) => {
  const file = (base) => path.join(__dirname, '..', 'dist', 'cli', `${base}.js`);
  if (!existsSync(file(name))) {
    console.error('Finial is not built yet: run "npm run build" in its folder first');
    process.exit(1);
  }
  const threads = Math.min(Math.max(os.availableParallelism(), FEWEST_THREADS), MOST_THREADS);
  process.env.UV_THREADPOOL_SIZE ??= String(threads);
  const { [cli]: program } = await import(pathToFileURL(file(name)));
  const { launch } = await import(pathToFileURL(file('launch')));
  await launch(program);
};

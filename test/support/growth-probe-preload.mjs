// Loaded into a daemon under test before its own code (node --import). At SIGWINCH, which nothing else uses, it
// collects all garbage and writes what is left into the file named by FINIAL_GROWTH_FOLDER and the process's number.
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import v8 from 'node:v8';
import vm from 'node:vm';

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');
const folder = process.env['FINIAL_GROWTH_FOLDER'];

function listeners() {
  return process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
}

async function measure() {
  for (let time = 0; time < 3; time += 1) {
    collect();
    // Finalizers run in turns of their own, and free what the next collection then finds.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo();
  const timers = resources.filter((name) => name === 'Timeout' || name === 'Immediate').length;
  return {
    heapBytes: heapUsed + arrayBuffers,
    descriptors: readdirSync('/proc/self/fd').length,
    timers,
    handles: resources.length - timers,
    listeners: listeners(),
  };
}

async function tell() {
  const file = path.join(folder, String(process.pid));
  writeFileSync(`${file}.part`, JSON.stringify(await measure()));
  renameSync(`${file}.part`, file);
}

if (folder !== undefined) process.on('SIGWINCH', () => void tell());

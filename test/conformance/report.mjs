// Prints how much of the checklist is met, by running it: `npm run conformance`. A row is met when each direction that
// the checklist asks of it (accepts, refuses, shows) has a test that names it, and every test that names it passes.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const here = import.meta.dirname;
const root = path.resolve(here, '../..');
const verbose = process.argv.includes('-verbose');

/** The results of all tests of the conformance folder and of the vectors: title -> passed. */
function runTests() {
  const folder = mkdtempSync(path.join(tmpdir(), 'finial-conformance-'));
  const file = path.join(folder, 'results.json');
  try {
    const args = ['run', '--reporter=json', `--outputFile=${file}`, 'test/conformance', 'test/vectors'];
    const { error, stderr } = spawnSync(path.join(root, 'node_modules/.bin/vitest'), args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    if (error) throw error;
    try {
      return JSON.parse(readFileSync(file, 'utf8')).testResults;
    } catch {
      throw new Error(`the tests did not run:\n${stderr}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function checklist() {
  const folder = path.join(here, 'checklist');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => ({
      section: name.replace(/\.json$/, ''),
      rows: JSON.parse(readFileSync(path.join(folder, name), 'utf8')),
    }));
}

/** Row id -> direction -> titles of tests, and the titles of those that failed. */
function evidenceOf(files) {
  const evidence = new Map();
  const vectors = { passed: 0, failed: [] };
  const broken = files
    .filter((file) => file.assertionResults.length === 0)
    .map((file) => `${file.name}: ${file.message}`);
  const failed = [];
  for (const { title, status } of files.flatMap((file) => file.assertionResults)) {
    if (/^V-[A-Z]+-\d\d[a-z0-9]* /.test(title)) {
      if (status === 'passed') vectors.passed += 1;
      else vectors.failed.push(title);
    }
    const named = /^([A-Z0-9]+-\d+) (accepts|refuses|shows): /.exec(title);
    if (named === null) {
      if (status !== 'passed') failed.push(title);
      continue;
    }
    const [, id, direction] = named;
    const row = evidence.get(id) ?? { directions: new Map(), failed: [] };
    row.directions.set(direction, [...(row.directions.get(direction) ?? []), title]);
    if (status !== 'passed') row.failed.push(`${title} (${status})`);
    evidence.set(id, row);
  }
  return { evidence, vectors, broken, failed };
}

function judge(row, evidence) {
  if (row.notApplicable !== undefined) return { state: 'not applicable', why: row.notApplicable };
  const found = evidence.get(row.id);
  if (found === undefined) return { state: 'open', why: 'no test names it' };
  if (found.failed.length > 0) return { state: 'open', why: `failed: ${found.failed.join('; ')}` };
  const missing = row.directions.filter((direction) => !found.directions.has(direction));
  if (missing.length > 0) return { state: 'open', why: `no test of what it ${missing.join(' and ')}` };
  return { state: 'met', why: `${Array.from(found.directions.values()).flat().length} tests` };
}

const { evidence, vectors, broken, failed } = evidenceOf(runTests());
const totals = { met: 0, 'not applicable': 0, open: 0 };
const known = new Set();
for (const { section, rows } of checklist()) {
  const judged = rows.map((row) => ({ row, ...judge(row, evidence) }));
  for (const { row, state } of judged) {
    totals[state] += 1;
    known.add(row.id);
  }
  const of = (state) => judged.filter((one) => one.state === state);
  console.log(
    `${section}: ${of('met').length} met, ${of('not applicable').length} not applicable, ${of('open').length} open`,
  );
  for (const { row, state, why } of judged) {
    if (state === 'met' && !verbose) continue;
    console.log(`  ${row.id} ${state}: ${row.rule}: ${why}`);
  }
}
const unknown = Array.from(evidence.keys()).filter((id) => !known.has(id));
for (const id of unknown) console.log(`a test names ${id}, which the checklist lacks`);
for (const message of broken) console.log(`a test file did not run: ${String(message)}`);
for (const title of failed) console.log(`failed: ${title}`);
console.log(`vectors: ${vectors.passed} passed, ${vectors.failed.length} failed`);
// What fails beside rows is open as well, or a run that is broken could end with 0.
const open = totals.open + unknown.length + broken.length + failed.length;
console.log(`${totals.met} met, ${totals['not applicable']} not applicable, ${open} open`);
process.exitCode = open === 0 ? 0 : 1;

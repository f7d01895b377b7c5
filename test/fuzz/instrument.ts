import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { REGISTER } from './counters.ts';

/**
 * Copies the compiled sources from `plain` to `counted` and writes a counter into every branch of those that are fuzzed,
 * so that a run sees which inputs reach something new. Files that did not change are left as they are.
 */
export async function instrumentAll(plain: string, counted: string): Promise<void> {
  const stale = filesBelow(plain).filter((file) => isOlder(path.join(counted, file), path.join(plain, file)));
  if (stale.length === 0) return;
  // Only when there is work: loading it takes half a second.
  const { parseAst } = await import('vitest/node');
  for (const file of stale) {
    const target = path.join(counted, file);
    mkdirSync(path.dirname(target), { recursive: true });
    if (/^(spiffe|client|common)[\\/].*\.js$/.test(file)) {
      const source = readFileSync(path.join(plain, file), 'utf8');
      writeFileSync(target, instrument(source, parseAst(source) as unknown as Node));
    } else cpSync(path.join(plain, file), target);
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.js'))
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
}

function isOlder(file: string, than: string): boolean {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined || stat.mtimeMs < statSync(than).mtimeMs;
}

/** A node of the ESTree, as far as it matters here. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** Texts to insert by position: what closes something there, and then what opens something. */
interface Insertions {
  readonly closing: Map<number, string>;
  readonly opening: Map<number, string>;
  places: number;
}

/** The source with its counters. */
export function instrument(source: string, program: Node): string {
  const found: Insertions = { closing: new Map(), opening: new Map(), places: 0 };
  visit(program, found);
  let text = '';
  let from = 0;
  const positions = new Set([...found.closing.keys(), ...found.opening.keys()]);
  for (const at of Array.from(positions).sort((a, b) => a - b)) {
    text += source.slice(from, at) + (found.closing.get(at) ?? '') + (found.opening.get(at) ?? '');
    from = at;
  }
  const counters = `globalThis.${REGISTER}?.(${found.places}) ?? new Uint8Array(${found.places})`;
  return `const __count = ${counters};\n${text}${source.slice(from)}`;
}

function visit(node: Node, found: Insertions): void {
  for (const branch of BRANCHES[node.type]?.(node) ?? []) count(branch, found);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) if (isNode(child)) visit(child, found);
  }
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && 'type' in value;

const nodes = (...values: readonly unknown[]): Node[] => values.filter(isNode);

/** The parts of a node that may run or not. */
const BRANCHES: Readonly<Record<string, (node: Node) => readonly Node[]>> = {
  FunctionDeclaration: ({ body }) => nodes(body),
  FunctionExpression: ({ body }) => nodes(body),
  ArrowFunctionExpression: ({ body }) => nodes(body),
  IfStatement: ({ consequent, alternate }) => nodes(consequent, alternate),
  ConditionalExpression: ({ consequent, alternate }) => nodes(consequent, alternate),
  LogicalExpression: ({ right }) => nodes(right),
  ForStatement: ({ body }) => nodes(body),
  ForOfStatement: ({ body }) => nodes(body),
  WhileStatement: ({ body }) => nodes(body),
  DoWhileStatement: ({ body }) => nodes(body),
  CatchClause: ({ body }) => nodes(body),
  SwitchCase: (node) => [node],
};

function count(node: Node, found: Insertions): void {
  const step = `__count[${found.places}]++`;
  found.places += 1;
  if (node.type === 'BlockStatement') open(found, node.start + 1, `${step};`);
  else if (node.type === 'SwitchCase') {
    // Without braces of its own, as what a case declares is seen by all of them.
    const [first] = nodes(...(node['consequent'] as unknown[]));
    if (first !== undefined) open(found, first.start, `${step};`);
  } else if (/Statement$|Declaration$/.test(node.type)) {
    open(found, node.start, `{${step};`);
    close(found, node.end, '}');
  } else {
    open(found, node.start, `(${step},`);
    close(found, node.end, ')');
  }
}

/** Parents come before their children, so what is opened later stands further inside. */
function open({ opening }: Insertions, at: number, text: string): void {
  opening.set(at, (opening.get(at) ?? '') + text);
}

function close({ closing }: Insertions, at: number, text: string): void {
  closing.set(at, text + (closing.get(at) ?? ''));
}

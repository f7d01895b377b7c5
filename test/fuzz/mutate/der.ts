import type { Random } from '../random.ts';
import type { Mutator } from '../target.ts';
import { mutateBytes } from './bytes.ts';
import { copyOf, type DerNode, longForm, readTrees, writeTrees } from './der-tree.ts';

const TAGS = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1e, 0x30, 0x31];
const ODD_TAGS = [0x00, 0x1f, 0x24, 0x80, 0x81, 0x82, 0x86, 0x87, 0xa0, 0xa1, 0xa3, 0xbf, 0xff];

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Contents that are worth a try, whatever they replace. */
const CONTENTS: readonly Buffer[] = [
  ...['', '00', '01', '7f', '80', 'ff', '0000', '0080', 'ff7f', 'ff80', '00ff', '8000', '0101'].map(hex),
  ...['7fffffff', '80000000', '0100000000', 'ffffffffffffffffff', '00ffffffffffffffffffffffffffffffff'].map(hex),
  // Object identifiers: extensions, keys, curves, algorithms, and malformed ones.
  ...['551d0f', '551d11', '551d13', '551d0e', '551d23', '551d25', '551d1e', '551d20', '550403', '550405'].map(hex),
  ...['2a8648ce3d0201', '2a8648ce3d030107', '2b81040022', '2b81040023', '2a864886f70d010101', '2b6570'].map(hex),
  ...['2a8648ce3d040302', '2a864886f70d01010b', '2a864886f70d01010a', '2b0e03021d', '2a80', '80', '2a8001'].map(hex),
  // Key usages and other bit strings.
  ...['0780', '0106', '0005', '0001', '07ff', '08', '0186', '000000'].map(hex),
  ...['300101Z', '491231235959Z', '500101000000Z', '290231000000Z', '20500101000000Z', '99991231235959Z'].map(ascii),
  ...['00000101000000Z', '20300101000000.5Z', '300101000000+0100', '20300229000000Z', '20300101240000Z'].map(ascii),
  ...['spiffe://td/a', 'spiffe://td', 'spiffe://TD/a', 'SPIFFE://td/a', 'spiffe://td/a\0', 'spiffe://td/../a'].map(
    ascii,
  ),
  ...['https://td/a', 'spiffe://td/a/', '', 'example.org', '*.example.org', '\xe9', 'spiffe:///a'].map(ascii),
];

/** Changes elements of DER: their tags, lengths, order, nesting and number, and takes subtrees from other inputs. */
export const mutateDer: Mutator = (input, random, other) => {
  const trees = readTrees(input);
  if (trees === undefined || trees.length === 0) return mutateBytes(input, random, other);
  for (let left = 1 + random.int(3); left > 0; left -= 1) change(trees, random, other);
  const der = writeTrees(trees);
  return random.oneIn(12) ? mutateBytes(der, random, other) : der;
};

/** A place among siblings, any depth. */
interface Place {
  readonly siblings: DerNode[];
  readonly index: number;
  readonly node: DerNode;
}

function placesIn(siblings: DerNode[], found: Place[] = []): Place[] {
  for (const [index, node] of siblings.entries()) {
    found.push({ siblings, index, node });
    if (node.children !== undefined) placesIn(node.children, found);
  }
  return found;
}

function change(trees: DerNode[], random: Random, other: () => Buffer): void {
  const places = placesIn(trees);
  if (places.length === 0) return;
  const place = random.pick(places);
  random.pick(CHANGES)(place, random, { places, other });
}

interface Surroundings {
  readonly places: readonly Place[];
  readonly other: () => Buffer;
}

type Change = (place: Place, random: Random, around: Surroundings) => void;

const replaceContent: Change = ({ node }, random) => {
  node.children = undefined;
  node.content = random.oneIn(3) ? mutateBytes(node.content, random, () => node.content) : random.pick(CONTENTS);
};

const CHANGES: readonly Change[] = [
  replaceContent,
  replaceContent,
  ({ node }, random) => {
    node.tag = random.pick(random.oneIn(3) ? ODD_TAGS : TAGS);
  },
  ({ node }, random) => {
    node.tag = random.int(256);
  },
  ({ siblings, index }) => {
    siblings.splice(index, 1);
  },
  ({ siblings, index, node }, random) => {
    const copies = Array.from({ length: random.oneIn(10) ? 1 + random.int(60) : 1 }, () => copyOf(node));
    siblings.splice(index, 0, ...copies);
  },
  ({ siblings, index, node }, random) => {
    const to = random.int(siblings.length);
    const there = siblings[to];
    if (there !== undefined) [siblings[index], siblings[to]] = [there, node];
  },
  ({ siblings, index }, random, { places }) => {
    siblings[index] = copyOf(random.pick(places).node);
  },
  ({ siblings, index }, random, { places }) => {
    siblings.splice(index, 0, copyOf(random.pick(places).node));
  },
  (place, random, { other }) => splice(place, random, other),
  (place, random, { other }) => splice(place, random, other),
  ({ siblings, index, node }, random) => {
    let wrapped = node;
    for (let left = random.oneIn(6) ? 1 + random.int(20) : 1; left > 0; left -= 1) wrapped = wrap(wrapped, random);
    siblings[index] = wrapped;
  },
  ({ siblings, index, node }) => {
    siblings.splice(index, 1, ...(node.children ?? []));
  },
  ({ node }, random) => {
    node.length = lengthForm(random);
  },
];

/** An element of another input, of the same tag if it has one. */
function splice({ siblings, index, node }: Place, random: Random, other: () => Buffer): void {
  const theirs = placesIn(readTrees(other()) ?? []);
  const alike = theirs.filter(({ node: one }) => one.tag === node.tag);
  const from = alike.length > 0 && !random.oneIn(4) ? alike : theirs;
  if (from.length > 0) siblings.splice(index, random.oneIn(3) ? 0 : 1, copyOf(random.pick(from).node));
}

function wrap(node: DerNode, random: Random): DerNode {
  const tag = random.pick([0x30, 0x31, 0x04, 0xa0, 0xa3]);
  return { tag, children: [node], content: Buffer.of(), prefix: Buffer.of(), length: undefined };
}

/** A length that is not as DER wants it, or not true. */
function lengthForm(random: Random): (length: number) => Buffer {
  const size = 1 + random.int(5);
  const lie = random.pick([1, -1, 2, 127, 0x7fff_ffff]);
  switch (random.int(4)) {
    case 0:
      return (length) => longForm(length, size);
    case 1:
      return (length) => longForm(Math.max(0, length + lie), 4);
    case 2:
      return (length) => Buffer.of(Math.max(0, length + lie) & 0xff);
    default:
      return () => Buffer.of(0x80);
  }
}

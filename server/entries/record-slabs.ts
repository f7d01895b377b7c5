/** Stands for one record until that is removed or moved. */
export type Place = number;

/** Size of an ordinary slab; a longer record gets one of its own. */
const SLAB_BYTES = 2 ** 20;
/** Before each record: its length and its owner. */
const HEAD_BYTES = 8;
/** A slab is worth tidying up once this share of it is dead. */
const DEAD_SHARE = 0.5;

interface Slab {
  readonly bytes: Buffer;
  used: number;
  dead: number;
}

/**
 * Records of bytes, packed one after another into large buffers outside of the garbage-collected heap. What removed
 * records leave behind is given back slab by slab: a slab that is mostly dead has its living records moved.
 */
export class RecordSlabs {
  readonly #slabs: (Slab | undefined)[] = [];
  readonly #freeIndexes: number[] = [];
  readonly #moved: (owner: number, from: Place, to: Place) => boolean;
  #current = -1;

  /**
   * @param moved asked when a record may be moved: whether `owner` still holds `from`; when it does, it takes `to` instead
   */
  constructor(moved: (owner: number, from: Place, to: Place) => boolean) {
    this.#moved = moved;
  }

  /** Bytes of memory that are held. */
  get bytes(): number {
    return this.#slabs.reduce((sum, slab) => sum + (slab?.bytes.length ?? 0), 0);
  }

  /** @param owner an unsigned number of 32 bits that `moved` will be asked with */
  put(owner: number, record: Buffer): Place {
    const size = HEAD_BYTES + record.length;
    let slab = this.#slabs[this.#current];
    if (slab === undefined || slab.used + size > slab.bytes.length) {
      slab = this.#open(Math.max(SLAB_BYTES, size));
    }
    const at = slab.used;
    slab.bytes.writeUInt32LE(record.length, at);
    slab.bytes.writeUInt32LE(owner, at + 4);
    record.copy(slab.bytes, at + HEAD_BYTES);
    slab.used += size;
    return this.#current * SLAB_BYTES + at;
  }

  /** A view, good until the next change. @throws RangeError when there is no such record */
  read(place: Place): Buffer {
    const [slab, at] = this.#find(place);
    return slab.bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + slab.bytes.readUInt32LE(at));
  }

  /** The owner must no longer hold the place when this is called. */
  remove(place: Place): void {
    const [slab, at] = this.#find(place);
    slab.dead += HEAD_BYTES + slab.bytes.readUInt32LE(at);
    const index = Math.floor(place / SLAB_BYTES);
    if (index !== this.#current && slab.dead >= slab.used * DEAD_SHARE) this.#empty(index, slab);
  }

  #open(bytes: number): Slab {
    const slab = { bytes: Buffer.allocUnsafeSlow(bytes), used: 0, dead: 0 };
    const index = this.#freeIndexes.pop() ?? this.#slabs.length;
    this.#slabs[index] = slab;
    this.#current = index;
    return slab;
  }

  /** Moves what lives in a slab and lets go of it. */
  #empty(index: number, slab: Slab): void {
    this.#slabs[index] = undefined;
    for (let at = 0; at < slab.used; ) {
      const length = slab.bytes.readUInt32LE(at);
      const owner = slab.bytes.readUInt32LE(at + 4);
      const from = index * SLAB_BYTES + at;
      // Copied first, as only a record that has a new place can be moved; of a dead one the copy dies as well.
      const to = this.put(owner, slab.bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length));
      if (!this.#moved(owner, from, to)) this.#retract(to, HEAD_BYTES + length);
      at += HEAD_BYTES + length;
    }
    this.#freeIndexes.push(index);
  }

  /** Takes back the record that was put last. */
  #retract(place: Place, size: number): void {
    const [slab] = this.#find(place);
    slab.used -= size;
  }

  #find(place: Place): readonly [slab: Slab, at: number] {
    const slab = this.#slabs[Math.floor(place / SLAB_BYTES)];
    if (slab === undefined) throw new RangeError('no record is at this place');
    return [slab, place % SLAB_BYTES];
  }
}

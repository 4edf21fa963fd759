/**
 * The reduce tree: the one order in which the leaves of a step are added (NUMERICS 4).
 *
 * The shape is RFC 6962's: a range splits after the largest power of two smaller than its length.
 * Node (level, index) covers leaves [index · 2^level, (index + 1) · 2^level), cut off at S. Where
 * that leaves the right half empty the node *is* its left child, passed through; each node has one
 * name, the lowest, and `isNode` refuses the others. A node that someone sent stands for its whole
 * range, so sums come out the same to the bit however the leaves were dealt out.
 */

export interface NodeId {
  level: number;
  index: number;
}

export type ReduceStep = { kind: 'push'; node: NodeId } | { kind: 'add' };

/** Leaves [first, end) under a node, cut off at S. */
export function leavesOf(node: NodeId, leaves: number): [first: number, end: number] {
  const width = widthOf(node.level);
  const first = node.index * width;
  return [first, Math.min(first + width, leaves)];
}

/** The root over S leaves, S ≥ 1. */
export function rootOf(leaves: number): NodeId {
  let level = 0;
  while (widthOf(level) < leaves) level += 1;
  return { level, index: 0 };
}

/** True for a node's own name: within the tree, and with leaves in both halves. */
export function isNode(node: NodeId, leaves: number): boolean {
  const { level, index } = node;
  if (!Number.isInteger(level) || level < 0 || level > 52) return false;
  if (!Number.isSafeInteger(index) || index < 0) return false;
  const first = index * widthOf(level);
  return level === 0 ? first < leaves : first + widthOf(level - 1) < leaves;
}

/** The node's own name: itself, or the child that it passes through. */
export function canonical(node: NodeId, leaves: number): NodeId {
  let { level, index } = node;
  while (level > 0 && index * widthOf(level) + widthOf(level - 1) >= leaves) {
    level -= 1;
    index *= 2;
  }
  return { level, index };
}

/** Two children; one where the right half is absent (the node passed through); none of a leaf. */
export function childrenOf(node: NodeId, leaves: number): NodeId[] {
  const own = canonical(node, leaves);
  if (own.level !== node.level) return [own];
  if (own.level === 0) return [];
  const level = own.level - 1;
  const left = { level, index: own.index * 2 };
  const right = canonical({ level, index: own.index * 2 + 1 }, leaves);
  return [left, right];
}

/** The fewest nodes that cover leaves [first, end) exactly, from left to right. */
export function maximalNodes(first: number, end: number, leaves: number): NodeId[] {
  if (!(first >= 0 && first <= end && end <= leaves)) {
    throw new RangeError(`leaves [${first}, ${end}) do not lie within [0, ${leaves})`);
  }
  const nodes: NodeId[] = [];
  let at = first;
  while (at < end) {
    let level = 0;
    while (at % widthOf(level + 1) === 0 && Math.min(at + widthOf(level + 1), leaves) <= end) {
      if (widthOf(level) >= leaves) break;
      level += 1;
    }
    const node = canonical({ level, index: at / widthOf(level) }, leaves);
    nodes.push(node);
    at = leavesOf({ level, index: at / widthOf(level) }, leaves)[1];
  }
  return nodes;
}

/** True where two nodes share a leaf. */
export function overlaps(a: NodeId, b: NodeId, leaves: number): boolean {
  const [aFirst, aEnd] = leavesOf(a, leaves);
  const [bFirst, bEnd] = leavesOf(b, leaves);
  return aFirst < bEnd && bFirst < aEnd;
}

/** A node as a map key, `level/index`. */
export function key(node: NodeId): string {
  return `${node.level}/${node.index}`;
}

/**
 * The program that adds `nodes`, which must cover all leaves once, up to the root: postfix, so a
 * stack of at most log2 S + 1 buffers does. Throws where a leaf is missing or covered twice.
 */
export function reducePlan(nodes: readonly NodeId[], leaves: number): ReduceStep[] {
  const given = new Map(nodes.map((node) => [key(canonical(node, leaves)), node]));
  const plan: ReduceStep[] = [];
  let pushed = 0;
  const emit = (node: NodeId): void => {
    const own = given.get(key(node));
    if (own !== undefined) {
      plan.push({ kind: 'push', node: own });
      pushed += 1;
      return;
    }
    const [left, right] = childrenOf(node, leaves);
    if (left === undefined || right === undefined) {
      throw new Error(`the nodes of a step must cover every leaf, leaf ${node.index} is missing`);
    }
    emit(left);
    emit(right);
    plan.push({ kind: 'add' });
  };
  emit(rootOf(leaves));
  if (pushed !== nodes.length) {
    throw new Error(`the nodes of a step must not overlap: ${nodes.map(key).join(' ')}`);
  }
  return plan;
}

/** left = f(left + right), element by element. */
export function addInto(left: Float32Array, right: Float32Array): void {
  const { length } = left;
  if (right.length !== length) {
    throw new RangeError(`a sum needs equal lengths, found ${length} and ${right.length}`);
  }
  for (let i = 0; i < length; i += 1) left[i] = Math.fround(left[i]! + right[i]!);
}

/** values = f(values / S): the sum at the root becomes the mean, once. */
export function scaleRoot(values: Float32Array, leaves: number): void {
  const divisor = Math.fround(leaves);
  for (let i = 0; i < values.length; i += 1) values[i] = Math.fround(values[i]! / divisor);
}

/** Sum of one f64 value a leaf, in tree order. */
export function treeSumF64(values: readonly number[]): number {
  const sum = (first: number, end: number): number => {
    const length = end - first;
    if (length === 1) return values[first]!;
    const split = first + widthOf(rootOf(length).level - 1);
    return sum(first, split) + sum(split, end);
  };
  if (values.length === 0) throw new RangeError('a tree needs at least one leaf, found none');
  return sum(0, values.length);
}

/** Mean of one f64 value a leaf: the sum in tree order, divided once. */
export function treeMeanF64(values: readonly number[]): number {
  return treeSumF64(values) / values.length;
}

/** 2^level without the limits of shifts. */
function widthOf(level: number): number {
  return level < 31 ? 1 << level : (1 << 30) * widthOf(level - 30);
}

/** The reduce tree against its definition: RFC 6962's recursion over leaf ranges. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fillNormal, uniform } from '../../../shared/core/draws.ts';
import {
  addInto,
  canonical,
  childrenOf,
  isNode,
  key,
  leavesOf,
  maximalNodes,
  type NodeId,
  overlaps,
  reducePlan,
  rootOf,
  scaleRoot,
  treeMeanF64,
  treeSumF64,
} from '../../../shared/core/tree.ts';

const width = 23;

/** Leaves of widely different size, so that another order gives other bits. */
function leavesOfStep(count: number): Float32Array[] {
  return Array.from({ length: count }, (_, leaf) => {
    const values = new Float32Array(width);
    fillNormal(values, 1, 1, 'audit', leaf);
    return values.map((x, i) => x * 10 ** ((leaf * 7 + i) % 5));
  });
}

/** RFC 6962, 2.1: split after the largest power of two smaller than the length. */
function definition(leaves: Float32Array[]): Float32Array {
  if (leaves.length === 1) return leaves[0]!.slice();
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  const left = definition(leaves.slice(0, split));
  const right = definition(leaves.slice(split));
  return left.map((x, i) => Math.fround(x + right[i]!));
}

/** Runs a plan with a stack; returns the root and the deepest stack. */
function run(nodes: NodeId[], leaves: Float32Array[]): { root: Float32Array; depth: number } {
  const stack: Float32Array[] = [];
  let depth = 0;
  for (const step of reducePlan(nodes, leaves.length)) {
    if (step.kind === 'push') {
      stack.push(definition(leaves.slice(...leavesOf(step.node, leaves.length))));
      depth = Math.max(depth, stack.length);
    } else {
      const right = stack.pop()!;
      addInto(stack.at(-1)!, right);
    }
  }
  assert.equal(stack.length, 1);
  return { root: stack[0]!, depth };
}

const bytes = (values: Float32Array): string => Buffer.from(values.slice().buffer).toString('hex');

test('any way to deal out 1 to 33 leaves gives the bits of the definition', () => {
  for (let count = 1; count <= 33; count += 1) {
    const leaves = leavesOfStep(count);
    const expected = bytes(definition(leaves));
    for (let deal = 0; deal < 25; deal += 1) {
      const chance = deal / 24;
      const nodes: NodeId[] = [];
      let first = 0;
      for (let leaf = 1; leaf <= count; leaf += 1) {
        const cut = uniform(count, 'audit', deal, 0, leaf) < chance;
        if (!cut && leaf < count) continue;
        nodes.push(...maximalNodes(first, leaf, count));
        first = leaf;
      }
      const { root, depth } = run(nodes.reverse(), leaves);
      assert.equal(bytes(root), expected, `S = ${count}, deal ${deal}`);
      assert.ok(depth <= rootOf(count).level + 1, `a stack of ${depth} for S = ${count}`);
    }
  }
});

test('the order matters: a sum from left to right gives other bits', () => {
  const leaves = leavesOfStep(8);
  const sum = leaves[0]!.slice();
  for (const leaf of leaves.slice(1)) addInto(sum, leaf);
  assert.notEqual(bytes(sum), bytes(definition(leaves)));
});

test('a leaf is copied, never 0 + leaf: a negative zero stays', () => {
  const leaves = [new Float32Array(width).fill(-0)];
  assert.ok(Object.is(run([rootOf(1)], leaves).root[0], -0));
});

test('children split a node as RFC 6962 does, and each node has one name', () => {
  for (let count = 1; count <= 33; count += 1) {
    const names = new Set<string>();
    const ranges = new Set<string>();
    const visit = (node: NodeId): void => {
      assert.ok(isNode(node, count), `${key(node)} of ${count}`);
      names.add(key(node));
      const [first, end] = leavesOf(node, count);
      ranges.add(`${first}-${end}`);
      const children = childrenOf(node, count);
      if (end - first === 1) {
        assert.deepEqual(children, []);
        return;
      }
      let split = 1;
      while (split * 2 < end - first) split *= 2;
      assert.deepEqual(
        children.map((child) => leavesOf(child, count)),
        [
          [first, first + split],
          [first + split, end],
        ],
      );
      for (const child of children) visit(child);
    };
    visit(rootOf(count));
    assert.equal(names.size, 2 * count - 1);
    assert.equal(ranges.size, 2 * count - 1);
    for (let level = 0; level < 8; level += 1) {
      for (let index = 0; index < 70; index += 1) {
        assert.equal(isNode({ level, index }, count), names.has(`${level}/${index}`));
      }
    }
  }
});

test('a node without a right half is its left child, passed through', () => {
  assert.deepEqual(childrenOf({ level: 2, index: 1 }, 5), [{ level: 0, index: 4 }]);
  assert.deepEqual(canonical({ level: 2, index: 1 }, 6), { level: 1, index: 2 });
  assert.deepEqual(childrenOf(rootOf(5), 5), [
    { level: 2, index: 0 },
    { level: 0, index: 4 },
  ]);
  assert.equal(isNode({ level: 2, index: 1 }, 5), false);
  assert.equal(isNode({ level: 0, index: 5 }, 5), false);
  assert.equal(isNode({ level: 0.5, index: 0 }, 5), false);
  assert.equal(isNode({ level: 0, index: -1 }, 5), false);
});

test('maximal nodes cover a range exactly and cannot be joined further', () => {
  for (const count of [1, 2, 5, 12, 21, 32, 33]) {
    for (let first = 0; first <= count; first += 1) {
      for (let end = first; end <= count; end += 1) {
        const nodes = maximalNodes(first, end, count);
        let at = first;
        for (const node of nodes) {
          assert.ok(isNode(node, count));
          assert.equal(leavesOf(node, count)[0], at);
          at = leavesOf(node, count)[1];
        }
        assert.equal(at, end);
        const given = new Set(nodes.map(key));
        const joined = (node: NodeId): boolean => {
          const children = childrenOf(node, count);
          if (children.length === 2 && children.every((child) => given.has(key(child))))
            return true;
          return children.some(joined);
        };
        assert.equal(joined(rootOf(count)), false, `[${first}, ${end}) of ${count}`);
      }
    }
  }
  assert.throws(() => maximalNodes(0, 6, 5), RangeError);
});

test('nodes overlap where they share a leaf', () => {
  assert.ok(overlaps({ level: 2, index: 0 }, { level: 0, index: 3 }, 5));
  assert.ok(!overlaps({ level: 2, index: 0 }, { level: 0, index: 4 }, 5));
  assert.ok(overlaps(rootOf(5), { level: 0, index: 4 }, 5));
});

test('a plan refuses a missing leaf, a node twice and an overlap', () => {
  const leaf = (index: number): NodeId => ({ level: 0, index });
  assert.throws(() => reducePlan([leaf(0), leaf(1)], 3), /leaf 2 is missing/);
  assert.throws(() => reducePlan([leaf(0), leaf(1), leaf(1)], 2), /overlap/);
  assert.throws(() => reducePlan([rootOf(2), leaf(1)], 2), /overlap/);
  assert.throws(() => reducePlan([], 1), /leaf 0 is missing/);
});

test('sums of one number a leaf take the same tree in f64', () => {
  const values = Array.from({ length: 13 }, (_, i) => 0.1 * 10 ** (i % 5));
  const [a, b, c, d, e, f, g, h, i, j, k, l, m] = values as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const expected = a + b + (c + d) + (e + f + (g + h)) + (i + j + (k + l) + m);
  assert.equal(treeSumF64(values), expected);
  assert.equal(treeMeanF64(values), expected / 13);
  assert.ok(Object.is(treeSumF64([-0]), -0));
  assert.throws(() => treeSumF64([]), RangeError);
});

test('the root is divided once, rounded to f32', () => {
  const values = Float32Array.of(1, -2, 0.3, 1e-45);
  scaleRoot(values, 3);
  assert.deepEqual([...values], [1 / 3, -2 / 3, Math.fround(0.3) / 3, 0].map(Math.fround));
});

test('a sum of unequal lengths is refused', () => {
  assert.throws(() => addInto(new Float32Array(2), new Float32Array(3)), RangeError);
});

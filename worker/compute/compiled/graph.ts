/**
 * A TensorFlow graph under construction: nodes in the order in which they were met.
 *
 * A node is added once: the same operation on the same inputs is the same node, so what both views
 * share (casts of weights, constants) is computed once. Every operation here is a function of its
 * inputs; one with a state or dice of its own must not be added.
 *
 * Numbers that the program multiplies and adds with are fed, not written into the graph: where
 * TensorFlow sees them it reorders (x − a) / b to x·(1/b) − a/b, and the bits would depend on what
 * its optimizer found.
 */

/** Element types, by their number in TensorFlow's `DataType`. */
export const typeNumbers = { float32: 1, int32: 3, uint8: 4, bool: 10, bfloat16: 14 } as const;
export type GraphType = keyof typeof typeNumbers;

/** One output of a node. */
export interface Edge {
  /** As TensorFlow writes it in inputs and fetches: `name` or `name:1`. */
  name: string;
  shape: readonly number[];
  type: GraphType;
}

export type Attribute =
  | { kind: 'type'; type: GraphType }
  | { kind: 'bool'; value: boolean }
  | { kind: 'int'; value: number }
  | { kind: 'float'; value: number }
  | { kind: 'text'; value: string }
  | { kind: 'ints'; values: readonly number[] }
  | { kind: 'shape'; shape: readonly number[] }
  | { kind: 'tensor'; type: GraphType; shape: readonly number[]; bytes: Uint8Array };

export type Attributes = Readonly<Record<string, Attribute>>;

export interface GraphNode {
  name: string;
  op: string;
  inputs: readonly string[];
  attributes: Attributes;
}

/** What a node gives, in the order of its outputs. */
export interface Output {
  shape: readonly number[];
  type: GraphType;
}

export interface Graph {
  add(op: string, inputs: readonly Edge[], attributes: Attributes, outputs: Output[]): Edge[];
  /** A value fed at each run, under a name of its own. */
  placeholder(name: string, type: GraphType, shape: readonly number[]): Edge;
  /** A number or an array of the program; of float32, one that TensorFlow does not see. */
  constant(values: Values, output: Output): Edge;
  /** A value written into the graph, for what operations must know beforehand. */
  literal(values: Values, output: Output): Edge;
  /** What is to be fed as `constantsName`, once the recording is done. */
  constants(): Float32Array;
  /** The nodes that these edges need, each after its inputs. */
  nodesFor(fetched: readonly Edge[]): GraphNode[];
}

export type Values = Float32Array | Int32Array | Uint8Array;

/** The placeholder through which the program's float32 constants are fed, end to end. */
export const constantsName = 'constants';

/** Constants up to here are compared; larger ones would cost more than they save. */
const comparedBytesMax = 4096;

export function newGraph(): Graph {
  const nodes = new Map<string, GraphNode>();
  const known = new Map<string, GraphNode>();
  const fed: number[] = [];
  const places = new Map<string, number>();

  function add(
    op: string,
    inputs: readonly string[],
    attributes: Attributes,
    key: string | null,
    name = `${op}_${nodes.size}`,
  ): GraphNode {
    const same = key === null ? undefined : known.get(key);
    if (same !== undefined) return same;
    const node = { name, op, inputs, attributes };
    nodes.set(name, node);
    if (key !== null) known.set(key, node);
    return node;
  }

  const int32s = (values: readonly number[]): Edge =>
    graph.literal(Int32Array.from(values), { shape: [values.length], type: 'int32' });

  function reshaped(edge: Edge, shape: readonly number[]): Edge {
    if (edge.shape.join() === shape.join() && edge.shape.length === shape.length) return edge;
    const attributes = { T: typeOf(edge.type), Tshape: typeOf('int32') };
    const outputs = [{ shape, type: edge.type }];
    return graph.add('Reshape', [edge, int32s(shape)], attributes, outputs)[0] as Edge;
  }

  /** These values' place among the constants that are fed. */
  function constantsPart(values: Float32Array): Edge {
    const key = new Int32Array(values.slice().buffer).join();
    const at = places.get(key) ?? fed.push(...values) - values.length;
    places.set(key, at);
    const name = constantsName;
    if (!nodes.has(name)) graph.placeholder(name, 'float32', [-1]); // how many is known at the end
    const whole: Edge = { name, shape: [-1], type: 'float32' };
    const inputs = [whole, int32s([at]), int32s([values.length])];
    const attributes = { T: typeOf('float32'), Index: typeOf('int32') };
    const outputs: Output[] = [{ shape: [values.length], type: 'float32' }];
    return graph.add('Slice', inputs, attributes, outputs)[0] as Edge;
  }

  const graph: Graph = {
    add(op, inputs, attributes, outputs) {
      const names = inputs.map((edge) => edge.name);
      const { name } = add(op, names, attributes, JSON.stringify([op, names, attributes]));
      return outputs.map((output, i) => ({ name: i === 0 ? name : `${name}:${i}`, ...output }));
    },
    placeholder(name, type, shape) {
      const attributes = { dtype: typeOf(type), shape: { kind: 'shape', shape } } as const;
      add('Placeholder', [], attributes, null, name);
      return { name, shape, type };
    },
    constant(values, { shape, type }) {
      const first = values[0];
      if (!(values instanceof Float32Array) || first === undefined) {
        return graph.literal(values, { shape, type });
      }
      const uniform = values.every((value) => Object.is(value, first));
      if (!uniform && values.byteLength > comparedBytesMax) {
        return graph.literal(values, { shape, type });
      }
      const held = constantsPart(uniform ? values.subarray(0, 1) : values);
      if (!uniform || values.length === 1) return reshaped(held, shape);
      const inputs = [int32s(shape), reshaped(held, [])];
      const attributes = { T: typeOf(type), index_type: typeOf('int32') };
      return graph.add('Fill', inputs, attributes, [{ shape, type }])[0] as Edge;
    },
    literal(values, { shape, type }) {
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      const small = bytes.length <= comparedBytesMax;
      const key = small ? JSON.stringify(['Const', type, shape, [...bytes]]) : null;
      const value = { kind: 'tensor', type, shape, bytes: bytes.slice() } as const;
      const { name } = add('Const', [], { dtype: typeOf(type), value }, key);
      return { name, shape, type };
    },
    constants: () => Float32Array.from(fed),
    nodesFor(fetched) {
      const needed = new Set<string>();
      const rest = fetched.map((edge) => nodeName(edge.name));
      for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
        if (needed.has(name)) continue;
        needed.add(name);
        rest.push(...(nodes.get(name)?.inputs ?? []).map(nodeName));
      }
      return [...nodes.values()].filter((node) => needed.has(node.name));
    },
  };
  return graph;
}

export function typeOf(type: GraphType): Attribute {
  return { kind: 'type', type };
}

/** `name:1` or `^name` → `name` */
function nodeName(edge: string): string {
  return edge.replace('^', '').split(':')[0] as string;
}

/** As the last input of an operation: it waits for this edge's node, whose value it does not take. */
export function waitFor({ name, ...rest }: Edge): Edge {
  return { name: `^${nodeName(name)}`, ...rest };
}

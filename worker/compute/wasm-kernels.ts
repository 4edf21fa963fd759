/**
 * Kernels that tfjs's wasm backend lacks or has only as slow loops, composed of its fast ones: its
 * convolution and matrix product are XNNPACK's, its convolution gradients are not.
 *
 * Both gradients of a convolution are convolutions: of dy with the turned filter, and of x with dy
 * as the filter. Only NHWC, as everything here.
 */
import { type Tensor, type TensorInfo, type Tensor4D, tf } from './tfjs.ts';

type Explicit = [[number, number], [number, number], [number, number], [number, number]];
type Attributes = Record<string, unknown>;

let registered = false;

/** Registers the kernels, before the backend starts; further calls do nothing. */
export function registerWasmKernels(): void {
  if (registered) return;
  registered = true;
  replace('Conv2DBackpropFilter', ({ x, dy }, attributes) =>
    filterGradient(need(x) as Tensor4D, need(dy) as Tensor4D, attributes),
  );
  replace('Conv2DBackpropInput', ({ dy, filter }, attributes) =>
    inputGradient(need(dy) as Tensor4D, need(filter) as Tensor4D, attributes),
  );
  replace('BatchMatMul', ({ a, b }, { transposeA, transposeB }, original) =>
    matMulByMatrix(
      transposeA ? swapLast(need(a)) : need(a),
      transposeB ? swapLast(need(b)) : need(b),
      original,
    ),
  );
}

type Inputs = Record<string, Tensor | undefined>;
type Kernel = (inputs: Inputs, attributes: Attributes, original: Original) => Tensor;
/** The backend's own kernel of the same name. */
type Original = (inputs: Inputs, attributes: Attributes) => Tensor;

function replace(kernelName: string, kernel: Kernel): void {
  const old = tf.getKernel(kernelName, 'wasm');
  if (old) tf.unregisterKernel(kernelName, 'wasm');
  tf.registerKernel({
    ...old,
    kernelName,
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const original: Original = (inputs, attributes) => {
        if (!old) throw new Error(`the wasm backend has no ${kernelName} of its own`);
        const info = old.kernelFunc({
          inputs: inputs as Parameters<typeof old.kernelFunc>[0]['inputs'],
          attrs: attributes as NonNullable<Parameters<typeof old.kernelFunc>[0]['attrs']>,
          backend,
        });
        return tf.engine().makeTensorFromTensorInfo(info as TensorInfo);
      };
      return tf.tidy(() => kernel(inputs as Inputs, attrs as Attributes, original));
    },
  });
}

/**
 * [..., a, b] by [..., b, c]: the backend is fast for one plain product and slow for a batch of
 * them or a transposed side, so the batch is taken apart. Only equal batch shapes.
 */
function matMulByMatrix(a: Tensor, b: Tensor, original: Original): Tensor {
  const plain = { transposeA: false, transposeB: false };
  const batch = a.shape.slice(0, -2);
  const count = batch.reduce((product, side) => product * side, 1);
  if (count === 1 || batch.join() !== b.shape.slice(0, -2).join()) return original({ a, b }, plain);
  const [rows, inner, columns] = [a.shape.at(-2), a.shape.at(-1), b.shape.at(-1)] as Shape3D;
  const as = tf.unstack(tf.reshape(a, [count, rows, inner]));
  const bs = tf.unstack(tf.reshape(b, [count, inner, columns]));
  const products = as.map((matrix, i) => original({ a: matrix, b: bs[i] }, plain));
  return tf.reshape(tf.stack(products), [...batch, rows, columns]);
}

function swapLast(x: Tensor): Tensor {
  const axes = x.shape.map((_, axis) => axis);
  const [first, second] = axes.splice(-2) as [number, number];
  return tf.transpose(x, [...axes, second, first]);
}

type Shape3D = [number, number, number];
type Shape4D = [number, number, number, number];

/** dL/dfilter [kh, kw, in, out] of x [n, h, w, in] and dy [n, h', w', out]. */
function filterGradient(x: Tensor4D, dy: Tensor4D, attributes: Attributes): Tensor4D {
  const filterShape = attributes['filterShape'] as Shape4D;
  const { strides, pads } = geometry(x.shape, filterShape, attributes);
  const [kh, kw, inputs, outputs] = filterShape;
  if (kh === 1 && kw === 1) {
    const sampled = sample(x, strides);
    const rows = sampled.size / inputs;
    const product = tf.matMul(
      tf.transpose(tf.reshape(sampled, [rows, inputs])),
      tf.reshape(dy, [rows, outputs]),
    );
    return tf.reshape(product, filterShape);
  }
  // The sum over images and places is a convolution with images as channels: x [in, h, w, n] by
  // dy [h', w', n, out], dilated by the stride, gives [in, kh, kw, out].
  const images = tf.transpose(tf.pad(x, pads), [3, 1, 2, 0]);
  const filter = tf.transpose(dy, [1, 2, 0, 3]);
  const gradient = tf.conv2d(images, filter, 1, 'valid', 'NHWC', strides);
  // A stride that does not divide leaves rows that no output saw.
  return tf.transpose(tf.slice(gradient, [0, 0, 0, 0], [-1, kh, kw, -1]), [1, 2, 0, 3]);
}

/** dL/dx [n, h, w, in] of dy [n, h', w', out] and the filter [kh, kw, in, out]. */
function inputGradient(dy: Tensor4D, filter: Tensor4D, attributes: Attributes): Tensor4D {
  const inputShape = attributes['inputShape'] as Shape4D;
  const { strides, pads } = geometry(inputShape, filter.shape, attributes);
  const [, h, w] = inputShape;
  const [kh, kw, inputs, outputs] = filter.shape;
  const turned = turn(filter);
  // A 1x1 filter first, while dy is small; others over dy spread out with zeros between.
  const point = kh === 1 && kw === 1;
  const source = point ? matMulChannels(dy, tf.reshape(turned, [outputs, inputs])) : dy;
  const spread = interleave(source, strides);
  const top = kh - 1 - pads[1][0];
  const left = kw - 1 - pads[2][0];
  const bottom = h + kh - 1 - top - spread.shape[1];
  const right = w + kw - 1 - left - spread.shape[2];
  const padded = tf.pad(spread, [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ]);
  return point ? padded : tf.conv2d(padded, turned, 1, 'valid');
}

/** Turned by half a circle, in and out exchanged: [kh, kw, out, in]. (`Reverse` is slow here.) */
function turn(filter: Tensor4D): Tensor4D {
  const [kh, kw, inputs, outputs] = filter.shape;
  const taps = tf.reshape(filter, [kh * kw, inputs, outputs]);
  const backwards = tf.concat(tf.split(taps, kh * kw).reverse());
  const turned = tf.transpose(backwards, [0, 2, 1]);
  return tf.reshape(turned, [kh, kw, outputs, inputs]);
}

/** Strides and the zeros around x that a convolution's attributes mean. */
function geometry(
  inputShape: Shape4D,
  filterShape: Shape4D,
  attributes: Attributes,
): { strides: [number, number]; pads: Explicit } {
  const { computeConv2DInfo, convertConv2DDataFormat } = tf.backend_util;
  const info = computeConv2DInfo(
    inputShape,
    filterShape,
    attributes['strides'] as [number, number] | number,
    1,
    attributes['pad'] as 'valid' | 'same',
    attributes['dimRoundingMode'] as undefined,
    false,
    convertConv2DDataFormat('NHWC'),
  );
  const { top, bottom, left, right } = info.padInfo;
  return {
    strides: [info.strideHeight, info.strideWidth],
    pads: [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ],
  };
}

/** Every stride-th row and column. */
function sample(x: Tensor4D, [down, across]: [number, number]): Tensor4D {
  if (down === 1 && across === 1) return x;
  return tf.stridedSlice(x, [0, 0, 0, 0], x.shape, [1, down, across, 1]) as Tensor4D;
}

/** Lays stride − 1 zeros between rows and between columns. */
function interleave(x: Tensor4D, [down, across]: [number, number]): Tensor4D {
  if (down === 1 && across === 1) return x;
  const [n, h, w, c] = x.shape;
  const apart = tf.pad(tf.reshape(x, [n, h, 1, w, c]), [
    [0, 0],
    [0, 0],
    [0, down - 1],
    [0, 0],
    [0, (across - 1) * c],
  ]);
  const wide = tf.reshape(apart, [n, h * down, w * across, c]) as Tensor4D;
  return tf.slice(wide, [0, 0, 0, 0], [n, (h - 1) * down + 1, (w - 1) * across + 1, c]);
}

/** [n, h, w, a] by [a, b] → [n, h, w, b] */
function matMulChannels(x: Tensor4D, matrix: ReturnType<typeof tf.reshape>): Tensor4D {
  const [n, h, w, a] = x.shape;
  const rows = tf.reshape(x, [n * h * w, a]);
  return tf.reshape(tf.matMul(rows, matrix), [n, h, w, matrix.shape[1] as number]);
}

function need<T>(tensor: T | undefined): T {
  if (tensor === undefined) throw new Error('a kernel was called without its input');
  return tensor;
}

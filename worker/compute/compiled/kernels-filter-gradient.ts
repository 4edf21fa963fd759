/**
 * Weight gradients of convolutions as matrix products, where a CPU is quicker with them.
 *
 * dW[i, j] = Σ over images and outputs of x at tap (i, j), transposed, times dy: one product for each
 * tap of the filter, of slices of x. oneDNN's own kernel goes over all of dW once an image. With many
 * channels and few pixels that is megabytes read and written for little arithmetic: 512 channels of
 * 4x4 pixels take it 38 to 67 ms for 64 images in bfloat16, the products 27; after a stride of 2 it
 * is three times slower than they are (docs/benchmarks.md). On larger images the slices cost more
 * than they save.
 *
 * The sums run in another order than the kernel's; the eager twin is the kernel.
 */
import { type Edge, typeOf, waitFor } from './graph.ts';
import { convolution, networkKernels, type Shape4D } from './kernels-network.ts';
import { add, int32s, padded, reshaped } from './nodes.ts';
import type { RecordKernel } from './recording.ts';

/** Outputs of an image (height × width) up to which the products win at stride 1. */
const outputsMax = { float32: 16, bfloat16: 64 };

const channelsMin = 32;

const filterGradient: RecordKernel = (recording, inputs, attributes) => {
  const { graph, as } = recording;
  const type = recording.productType();
  const x = as(inputs['x'], type);
  const dy = as(inputs['dy'], type);
  const filter = attributes['filterShape'] as Shape4D;
  const { info } = convolution(x.shape, filter, attributes);
  const [side, , channels, outputs] = filter;
  const [n, height, width] = info.outShape;
  const stride = info.strideHeight;
  const few = stride === 2 || (stride === 1 && height * width <= outputsMax[type]);
  const square = filter[1] === side && info.strideWidth === stride && info.dilationHeight === 1;
  // A product per tap wants channels to work on: not the first layer's three.
  if (!few || !square || side !== 3 || channels < channelsMin)
    return kernel(recording, inputs, attributes);

  // Of x alone, the slices would be cut in the forward pass and kept until dy is there.
  const late = add(graph, 'Identity', [x, waitFor(dy)], x.shape);
  const { top, bottom, left, right } = info.padInfo;
  const whole = padded(graph, late, [top, bottom], [left, right]);
  const [, rows, columns] = whole.shape as Shape4D;
  if (rows % stride !== 0 || columns % stride !== 0) return kernel(recording, inputs, attributes);
  // Rows and columns by their remainder, so that a tap is a plain slice at any stride.
  const folded = [n, rows / stride, stride, columns / stride, stride * channels];
  const from = reshaped(graph, whole, folded);
  const gradients = reshaped(graph, dy, [n * height * width, outputs]);

  const taps: Edge[] = [];
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) {
      const begin = [0, Math.floor(i / stride), i % stride, Math.floor(j / stride), 0];
      begin[4] = (j % stride) * channels;
      const size = [n, height, 1, width, channels];
      const slice = add(graph, 'Slice', [from, int32s(graph, begin), int32s(graph, size)], size, {
        Index: typeOf('int32'),
      });
      const pixels = reshaped(graph, slice, [n * height * width, channels]);
      taps.push(
        add(graph, 'MatMul', [pixels, gradients], [channels, outputs], {
          transpose_a: { kind: 'bool', value: true },
          transpose_b: { kind: 'bool', value: false },
        }),
      );
    }
  }
  const packed = add(graph, 'Pack', taps, [side * side, channels, outputs], {
    N: { kind: 'int', value: taps.length },
    axis: { kind: 'int', value: 0 },
  });
  return reshaped(graph, packed, filter);
};

const kernel = networkKernels['Conv2DBackpropFilter'] as RecordKernel;

export const cpuKernels: Record<string, RecordKernel> = { Conv2DBackpropFilter: filterGradient };

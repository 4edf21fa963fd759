/**
 * The network as a list of tensors: names, shapes, first values, places in the flat vectors.
 *
 * Layout and names are torchvision's (ResNet v1.5: the stride of a bottleneck sits in its 3x3) with
 * the SimSiam heads beside it, named by their place in a torch Sequential. Shapes are those of the
 * compute room: filters [height, width, in, out], dense [in, out]. A Linear before a batch norm has
 * no bias: the norm would subtract it. `worker/compute` runs the same plan; a name that differs
 * between the two is an error at the first leaf.
 */
import type { Architecture, Initial, TensorSpec } from './architecture-types.ts';
import type { ModelName } from './method.ts';

/** The choices that make one ResNet and its heads. Everything else follows from them. */
export interface NetworkPlan {
  block: 'basic' | 'bottleneck';
  /** Residual blocks in each layer (layer1, layer2, ...). */
  depths: readonly number[];
  /** Channels of the first layer's 3x3 convolutions; each further layer doubles them. */
  width: number;
  /** `imagenet`: 7x7 stride 2, then max pool 3x3 stride 2. `cifar`: 3x3 stride 1, no pool. */
  stem: 'imagenet' | 'cifar';
  /** Widths of the projector's layers, last one d; all but the last are followed by a ReLU. */
  projector: readonly number[];
  /** Hidden width of the predictor. */
  predictorHidden: number;
  /** Supervised: classes of the one linear layer that stands in the place of both heads. */
  classes?: number;
}

/** A residual block's place and shape: what both the tensor list and the forward pass walk over. */
export interface BlockPlan {
  /** `encoder.layer2.0` */
  name: string;
  inputs: number;
  /** Channels of its 3x3 convolutions. */
  width: number;
  outputs: number;
  stride: 1 | 2;
  /** Whether the shortcut has a 1x1 convolution and a batch norm. */
  downsample: boolean;
}

const depthsOf = { 18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3] } as const;

/** The plan of a named model (SimSiam's heads: 3-layer projector; 2 layers in the CIFAR recipe). */
export function networkPlan(model: ModelName, classes?: number): NetworkPlan {
  const cifar = model.endsWith('-cifar');
  const size = model.startsWith('resnet18') ? 18 : model.startsWith('resnet34') ? 34 : 50;
  const block = size === 50 ? 'bottleneck' : 'basic';
  const features = size === 50 ? 2048 : 512;
  return {
    block,
    depths: depthsOf[size],
    width: 64,
    stem: cifar ? 'cifar' : 'imagenet',
    projector: cifar ? [2048, 2048] : [features, features, 2048],
    predictorHidden: 512,
    ...(classes === undefined ? {} : { classes }),
  };
}

/** The residual blocks of a plan, first to last. */
export function blocksOf(plan: NetworkPlan): BlockPlan[] {
  const expansion = plan.block === 'basic' ? 1 : 4;
  const blocks: BlockPlan[] = [];
  let inputs = plan.width;
  let width = plan.width;
  for (const [layer, depth] of plan.depths.entries()) {
    for (let i = 0; i < depth; i++) {
      const outputs = width * expansion;
      const stride = layer > 0 && i === 0 ? 2 : 1;
      const downsample = stride === 2 || inputs !== outputs;
      const name = `encoder.layer${layer + 1}.${i}`;
      blocks.push({ name, inputs, width, outputs, stride, downsample });
      inputs = outputs;
    }
    width *= 2;
  }
  return blocks;
}

/** Width of the pooled features. */
export function featureWidthOf(plan: NetworkPlan): number {
  return blocksOf(plan).at(-1)?.outputs ?? plan.width;
}

/** The tensors of a named model, with SimSiam's heads, or with a classifier of so many classes. */
export function architecture(model: ModelName, classes?: number): Architecture {
  return architectureOf(networkPlan(model, classes));
}

/** The tensors of a plan, sorted by name, with their offsets. */
export function architectureOf(plan: NetworkPlan): Architecture {
  const parameters: Unplaced[] = [];
  const statistics: Unplaced[] = [];

  const conv = (name: string, side: number, inputs: number, outputs: number): void => {
    const fanOut = side * side * outputs;
    const initial: Initial = { kind: 'kaiming-normal-fan-out', fanOut };
    parameters.push({ name: `${name}.weight`, shape: [side, side, inputs, outputs], initial });
  };
  const linear = (name: string, inputs: number, outputs: number, bias: boolean): void => {
    const initial: Initial = { kind: 'uniform-fan-in', fanIn: inputs };
    parameters.push({ name: `${name}.weight`, shape: [inputs, outputs], initial });
    if (bias) parameters.push({ name: `${name}.bias`, shape: [outputs], initial });
  };
  const batchNorm = (name: string, width: number, weight: 0 | 1 | 'not affine' = 1): void => {
    const shape = [width];
    if (weight !== 'not affine') {
      parameters.push({ name: `${name}.weight`, shape, initial: constant(weight) });
      parameters.push({ name: `${name}.bias`, shape, initial: constant(0) });
    }
    statistics.push({ name: `${name}.running_mean`, shape, initial: constant(0) });
    statistics.push({ name: `${name}.running_var`, shape, initial: constant(1) });
  };

  conv('encoder.conv1', plan.stem === 'cifar' ? 3 : 7, 3, plan.width);
  batchNorm('encoder.bn1', plan.width);
  for (const block of blocksOf(plan)) {
    const { name, inputs, width, outputs } = block;
    const shapes: [side: number, inputs: number, outputs: number][] =
      plan.block === 'basic'
        ? [
            [3, inputs, width],
            [3, width, outputs],
          ]
        : [
            [1, inputs, width],
            [3, width, width],
            [1, width, outputs],
          ];
    for (const [i, [side, from, to]] of shapes.entries()) {
      conv(`${name}.conv${i + 1}`, side, from, to);
      // Zero-init residual: each block starts as the identity.
      batchNorm(`${name}.bn${i + 1}`, to, i === shapes.length - 1 ? 0 : 1);
    }
    if (block.downsample) {
      conv(`${name}.downsample.0`, 1, inputs, outputs);
      batchNorm(`${name}.downsample.1`, outputs);
    }
  }

  const featureWidth = featureWidthOf(plan);
  let width = featureWidth;
  const laidOut = (outputWidth: number): Architecture => {
    const [placedParameters, parameterCount] = place(parameters);
    const [placedStatistics, statisticCount] = place(statistics);
    return {
      featureWidth,
      outputWidth,
      parameters: placedParameters,
      parameterCount,
      statistics: placedStatistics,
      statisticCount,
    };
  };
  if (plan.classes !== undefined) {
    linear('classifier', featureWidth, plan.classes, true);
    // The std of a supervised step is that of the features.
    return laidOut(featureWidth);
  }
  for (const [i, outputs] of plan.projector.entries()) {
    linear(`projector.${3 * i}`, width, outputs, false);
    batchNorm(
      `projector.${3 * i + 1}`,
      outputs,
      i === plan.projector.length - 1 ? 'not affine' : 1,
    );
    width = outputs;
  }
  linear('predictor.0', width, plan.predictorHidden, false);
  batchNorm('predictor.1', plan.predictorHidden);
  linear('predictor.3', plan.predictorHidden, width, true);
  return laidOut(width);
}

/** The parameters of an architecture by name. */
export function parameterIndex(architecture: Architecture): ReadonlyMap<string, TensorSpec> {
  return new Map(architecture.parameters.map((spec) => [spec.name, spec]));
}

type Unplaced = Omit<TensorSpec, 'offset' | 'length'>;

function constant(value: number): Initial {
  return { kind: 'constant', value };
}

/** Sorts by name (ASCII, so `<` compares bytes) and lays the tensors end to end. */
function place(tensors: readonly Unplaced[]): [specs: TensorSpec[], count: number] {
  let offset = 0;
  const specs = [...tensors]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((tensor) => {
      const length = tensor.shape.reduce((product, side) => product * side, 1);
      const spec = { ...tensor, offset, length };
      offset += length;
      return spec;
    });
  return [specs, offset];
}

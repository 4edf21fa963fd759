/**
 * What a graph gives back: tensors end to end in float32, the large ones each by itself.
 */
import { type Tensor, tf } from '../tfjs.ts';
import type { Edge } from './graph.ts';
import type { Recording } from './recording.ts';

/** From here on a tensor is fetched by itself: joining it to others would copy it once more. */
const pieceElements = 65_536;

/** The tensors in order: large ones each, the small ones between them joined. */
export function pieces(recording: Recording, tensors: readonly Tensor[]): Edge[] {
  const fetched: Edge[] = [];
  let small: Tensor[] = [];
  const join = (): void => {
    if (small.length > 0) fetched.push(flat(recording, small));
    small = [];
  };
  for (const tensor of tensors) {
    if (tensor.size < pieceElements) {
      small.push(tensor);
      continue;
    }
    join();
    fetched.push(recording.as(tensor, 'float32'));
  }
  join();
  return fetched;
}

/** All values end to end, in float32. */
export function flat(recording: Recording, tensors: readonly Tensor[]): Edge {
  const rows = tensors.map((tensor) => {
    const wide = recording.tensor(recording.as(tensor, 'float32'));
    return tf.reshape(tf.engine().makeTensorFromTensorInfo(wide), [tensor.size]);
  });
  return recording.edge(tf.concat(rows));
}

/**
 * `loss.svg`: the run's loss and std as a picture, from the events.
 *
 * Points are thinned by dropping every second one whenever there are too many, so a run of any
 * length costs the same memory.
 */
import { join } from 'node:path';
import { replaceFile } from '../../shared/adapters/durable.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { type LossPoint, lossPlot } from '../../shared/core/loss-plot.ts';

const pointsMax = 4096;

export interface LossPicture {
  see(event: RunEvent): void;
  write(folder: string): Promise<void>;
}

export function lossPicture(run: {
  title: string;
  outputWidth: number;
  totalSteps: number;
}): LossPicture {
  let points: LossPoint[] = [];
  let stride = 1;
  return {
    see(event) {
      if (event.kind !== 'step-committed') return;
      const { step, epoch, loss, std, learningRate } = event;
      if (step % stride !== 0) return;
      points.push({ step, epoch, loss, std, learningRate });
      if (points.length < pointsMax) return;
      stride *= 2;
      points = points.filter((p) => p.step % stride === 0);
    },
    async write(folder) {
      if (points.length === 0) return;
      await replaceFile(join(folder, 'loss.svg'), lossPlot({ ...run, points }));
    },
  };
}

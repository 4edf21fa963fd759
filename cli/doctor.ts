/**
 * `tandem doctor`: is everything here that a run needs? One finding a line, each failure with its
 * cure. Every check is a function of the surroundings it is given; none installs or changes a thing.
 */
import type { Surroundings } from './doctor-surroundings.ts';
import type { Finding } from './finding.ts';
import { bytes } from '../shared/core/format.ts';

type Check = (surroundings: Surroundings) => Finding | Promise<Finding>;

const finding = (name: string, state: Finding['state'], found: string, cure = ''): Finding => ({
  name,
  state,
  found,
  cure,
});

function node({ nodeVersion }: Surroundings): Finding {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const cure = 'Install Node 20, 22 or 24.';
  if (major < 20 || (major === 20 && minor < 15)) {
    return finding('Node', 'failed', `${nodeVersion}, and 20.15 is needed`, cure);
  }
  return [20, 22, 24].includes(major)
    ? finding('Node', 'ok', nodeVersion)
    : finding('Node', 'warning', `${nodeVersion}, which was never tried`, cure);
}

function compiler({ compiler: found, addonStands }: Surroundings): Finding {
  if (found !== null) return finding('compiler', 'ok', found);
  return addonStands
    ? finding('compiler', 'note', 'none; the addon is built already')
    : finding('compiler', 'failed', 'no C++ compiler', 'Install g++ or clang, then: npm run setup');
}

async function tensorflow(s: Surroundings): Promise<Finding[]> {
  if (!s.addonStands) {
    const cure = 'npm run setup. Until then: --backend wasm, several times slower.';
    const why = s.record?.reason ?? 'the addon or libtensorflow is not installed';
    return [finding('TensorFlow', s.wasmAsked ? 'note' : 'failed', why, cure)];
  }
  const probed = await s.probe();
  if ('problem' in probed) {
    return [finding('TensorFlow', 'failed', probed.problem, 'npm run setup')];
  }
  const { version, device } = probed;
  const build = s.record?.build === 'gpu' ? 'CUDA build' : 'CPU build';
  const computes = device === 'gpu' ? 'the GPU' : 'the CPU';
  const first = finding('TensorFlow', 'ok', `${version}, ${build}, computes on ${computes}`);
  const idle = s.driver && device === 'cpu';
  const second = idle
    ? finding(
        'GPU',
        'warning',
        'an NVIDIA driver is here, but TensorFlow computes on the CPU',
        'Look at nvidia-smi and TF_CPP_MIN_LOG_LEVEL=0 npm start; npm run setup takes the CUDA build.',
      )
    : gpus(s);
  return [first, second];
}

function gpus({ gpus: found, driver }: Surroundings): Finding {
  if (found.length > 0) return finding('GPU', 'ok', found.join('; '));
  return driver
    ? finding('GPU', 'warning', 'a driver and no GPU that nvidia-smi lists', 'Look at nvidia-smi.')
    : finding('GPU', 'note', 'none: training uses the CPU');
}

async function wasm(s: Surroundings): Promise<Finding> {
  const problem = await s.wasmProblem();
  return problem === null
    ? finding('WebAssembly', 'ok', 'its kernels compile')
    : finding('WebAssembly', 'failed', problem, 'npm run setup');
}

async function nats(s: Surroundings): Promise<Finding> {
  if (s.nats === null) {
    return s.natsServer === null
      ? finding('NATS', 'note', 'no nats-server here; only --nats URL and some tests need one')
      : finding('NATS', 'ok', `server at ${s.natsServer}`);
  }
  const problem = await s.connects(s.nats);
  return problem === null
    ? finding('NATS', 'ok', `${s.nats} answers`)
    : finding('NATS', 'failed', `${s.nats}: ${problem}`, 'Start it, or correct --nats.');
}

async function port(s: Surroundings): Promise<Finding> {
  const problem = await s.bindProblem();
  return problem === null
    ? finding('port', 'ok', `${s.listen} can be listened on`)
    : finding('port', 'failed', `${s.listen}: ${problem}`, 'Another --listen, or port 0.');
}

async function writing(s: Surroundings): Promise<Finding[]> {
  return Promise.all(
    [
      { name: 'run folder', folder: s.runs, state: 'failed' as const, cure: 'Another --run.' },
      {
        name: 'cache',
        folder: s.cache,
        state: 'warning' as const,
        cure: 'Set XDG_CACHE_HOME to a folder that can be written.',
      },
    ].map(async ({ name, folder, state, cure }) => {
      const problem = await s.writeProblem(folder);
      return problem === null
        ? finding(name, 'ok', `${folder} can be written`)
        : finding(name, state, `${folder}: ${problem}`, cure);
    }),
  );
}

async function disk(s: Surroundings): Promise<Finding> {
  const free = await s.freeBytes(s.runs);
  if (free === null) return finding('disk', 'note', 'free space is not known here');
  const said = `${bytes(free)} free, a run of this model needs ${bytes(s.diskNeeded)}`;
  const cure = 'Free space, or another --run.';
  if (free < s.diskNeeded) return finding('disk', 'failed', said, cure);
  return finding(
    'disk',
    free < 2 * s.diskNeeded ? 'warning' : 'ok',
    said,
    free < 2 * s.diskNeeded ? cure : '',
  );
}

function memory({ totalMemory, memoryNeeded }: Surroundings): Finding {
  const said = `${bytes(totalMemory)}, state and pixels need up to ${bytes(memoryNeeded)}`;
  return totalMemory < memoryNeeded
    ? finding('memory', 'warning', said, 'Fewer --workers, or a smaller --model.')
    : finding('memory', 'ok', said);
}

const skewMaxMs = 5000;

async function clock(s: Surroundings): Promise<Finding> {
  const cure = 'Set the clock (an NTP service). Training does not need it; times in events do.';
  if (s.now() < Date.UTC(2024, 0, 1)) {
    return finding('clock', 'warning', `it says ${new Date(s.now()).toISOString()}`, cure);
  }
  const skew = await s.fileClockSkewMs();
  return skew !== null && Math.abs(skew) > skewMaxMs
    ? finding('clock', 'warning', `files are dated ${Math.round(skew / 1000)} s off`, cure)
    : finding('clock', 'ok', new Date(s.now()).toISOString());
}

function environment({ unknownVariables }: Surroundings): Finding {
  return unknownVariables.length === 0
    ? finding('environment', 'ok', 'no unknown TANDEM_ variable')
    : finding(
        'environment',
        'warning',
        `${unknownVariables.join(', ')} means nothing here`,
        'See docs/reference.md, "Environment".',
      );
}

const checks: readonly (Check | ((s: Surroundings) => Promise<Finding[]>))[] = [
  node,
  compiler,
  tensorflow,
  wasm,
  nats,
  port,
  writing,
  disk,
  memory,
  clock,
  environment,
];

/** All findings, in a fixed order. A check that breaks is a failure of its own. */
export async function examine(surroundings: Surroundings): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) {
    try {
      findings.push(...[await check(surroundings)].flat());
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      findings.push(finding(check.name, 'failed', message, 'Report this with --verbose.'));
    }
  }
  return findings;
}

/**
 * The Python wheels that carry libtensorflow, pinned by version and SHA-256, fetched with pip and
 * unpacked without installing anything into Python.
 *
 * One wheel serves every local Python version: only its C library and headers are used, so pip is
 * told to fetch the build for Python 3.11 whatever runs here. The CUDA build finds its CUDA
 * libraries in nvidia/<name>/lib beside it; those are NVIDIA's wheels, pinned likewise.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.mjs';

export const wheelVersion = '2.21.0';

const cpuHash = '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c';
const gpuHash = '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124';

/** The versions that pip chose for tensorflow[and-cuda]==2.21.0. */
const cuda = [
  [
    'nvidia-cublas-cu12',
    '12.9.3.13',
    'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72',
  ],
  [
    'nvidia-cuda-cupti-cu12',
    '12.8.90',
    'ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182',
  ],
  [
    'nvidia-cuda-nvcc-cu12',
    '12.9.86',
    '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0',
  ],
  [
    'nvidia-cuda-nvrtc-cu12',
    '12.9.86',
    '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4',
  ],
  [
    'nvidia-cuda-runtime-cu12',
    '12.9.79',
    '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3',
  ],
  [
    'nvidia-cudnn-cu12',
    '9.28.0.42',
    '9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375',
  ],
  [
    'nvidia-cufft-cu12',
    '11.4.1.4',
    'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28',
  ],
  [
    'nvidia-curand-cu12',
    '10.3.10.19',
    '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e',
  ],
  [
    'nvidia-cusolver-cu12',
    '11.7.5.82',
    '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88',
  ],
  [
    'nvidia-cusparse-cu12',
    '12.5.10.65',
    '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78',
  ],
  [
    'nvidia-nccl-cu12',
    '2.32.3',
    'bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c',
  ],
  [
    'nvidia-nvjitlink-cu12',
    '12.9.86',
    'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9',
  ],
];

/** pip compares these tags letter by letter, so each spelling that the wheels use is named. */
const platforms = [
  'manylinux_2_27_x86_64',
  'manylinux_2_17_x86_64',
  'manylinux2014_x86_64',
  'manylinux_2_12_x86_64',
  'manylinux2010_x86_64',
  'manylinux_2_5_x86_64',
  'manylinux1_x86_64',
];

/** Enough for 3 GB over a slow line; a line that stands still ends much earlier (pip's timeout). */
const downloadMs = 40 * 60 * 1000;
const unpackMs = 10 * 60 * 1000;

/**
 * The lines of a requirements file, each with its hash, so that pip refuses anything else.
 * @param {'cpu' | 'gpu'} build
 */
export function requirements(build) {
  const main =
    build === 'gpu'
      ? [['tensorflow', wheelVersion, gpuHash], ...cuda]
      : [['tensorflow-cpu', wheelVersion, cpuHash]];
  return main
    .map(([name, version, hash]) => `${name}==${version} --hash=sha256:${hash}\n`)
    .join('');
}

/** @param {'cpu' | 'gpu'} build name of its folder in the cache */
export function wheelFolderName(build) {
  const hash = build === 'gpu' ? gpuHash : cpuHash;
  return `libtensorflow-${wheelVersion}-${build}-${hash.slice(0, 8)}`;
}

/** What a person is told before the wait. @param {'cpu' | 'gpu'} build */
export function downloadSize(build) {
  return build === 'gpu' ? '572 MB, and about 2.5 GB of CUDA libraries' : '274 MB';
}

/** Bytes of free disk that fetching and unpacking need. @param {'cpu' | 'gpu'} build */
export function diskNeeded(build) {
  return (build === 'gpu' ? 11 : 1.3) * 1e9;
}

/**
 * A way to call pip: `python3 -m pip`, a `pip3` of its own, or the one that a fresh virtual
 * environment brings (Python without pip often still has it there).
 * @param {string} python
 * @param {string} scratch an empty folder
 * @returns {Promise<string[] | null>} program and first arguments
 */
export async function findPip(python, scratch) {
  const ways = [[python, '-m', 'pip'], ['pip3'], ['pip']];
  for (const way of ways) {
    const [program = '', ...args] = way;
    if ((await run(program, [...args, '--version'], { timeoutMs: 30_000 })).ok) return way;
  }
  const home = join(scratch, 'venv');
  const made = await run(python, ['-m', 'venv', home], { timeoutMs: 120_000 });
  return made.ok ? [join(home, 'bin', 'python'), '-m', 'pip'] : null;
}

/**
 * Fetches the wheels of a build into `folder`/wheels.
 * @param {{ pip: string[], build: 'cpu' | 'gpu', folder: string }} what
 * @returns {Promise<{ files: string[] } | { problem: string }>}
 */
export async function fetchWheels({ pip, build, folder }) {
  const list = join(folder, 'requirements.txt');
  const target = join(folder, 'wheels');
  mkdirSync(target, { recursive: true });
  writeFileSync(list, requirements(build));
  const [program = '', ...first] = pip;
  const args = [
    ...first,
    'download',
    '--no-deps',
    '--only-binary=:all:',
    '--python-version',
    '3.11',
    ...platforms.flatMap((platform) => ['--platform', platform]),
    '--require-hashes',
    '--no-cache-dir',
    '--no-input',
    '--disable-pip-version-check',
    '--retries',
    '1',
    '--timeout',
    '20',
    '--dest',
    target,
    '--requirement',
    list,
  ];
  const outcome = await run(program, args, { timeoutMs: downloadMs, show: true });
  if (!outcome.ok)
    return { problem: 'pip could not fetch the pinned wheel (its words stand above)' };
  return { files: readdirSync(target).map((name) => join(target, name)) };
}

/**
 * Python, because a Python is there whenever pip is: writes the libraries, the headers that tfjs
 * includes, and everything of NVIDIA's but headers, and prints the libraries' sizes and SHA-256.
 */
const unpackScript = `
import hashlib, json, os, sys, zipfile
target, manifest = sys.argv[1], {}
headers = ['c/', 'core/platform/', 'tsl/']
keep = {'tensorflow/libtensorflow_cc.so.2': 'lib/libtensorflow_cc.so.2',
        'tensorflow/libtensorflow_framework.so.2': 'lib/libtensorflow_framework.so.2'}
def place(name):
    if name in keep: return keep[name]
    if name.endswith('/') or '..' in name.split('/'): return None
    for start in ['tensorflow/include/tensorflow/' + h for h in headers] + \\
            ['tensorflow/include/tsl/', 'tensorflow/include/xla/tsl/']:
        if name.startswith(start): return name[len('tensorflow/'):]
    if name.startswith('nvidia/') and '/include/' not in name: return name
    return None
for wheel in sys.argv[2:]:
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            where = place(info.filename)
            if where is None: continue
            path, digest, size = os.path.join(target, where), hashlib.sha256(), 0
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(info) as source, open(path, 'wb') as sink:
                while True:
                    block = source.read(1 << 20)
                    if not block: break
                    sink.write(block); digest.update(block); size += len(block)
            if (info.external_attr >> 16) & 0o111: os.chmod(path, 0o755)
            if '.so' in os.path.basename(path):
                manifest[where] = {'bytes': size, 'sha256': digest.hexdigest()}
with open(os.path.join(target, 'manifest.json'), 'w') as sink:
    json.dump(manifest, sink, indent=1)
`;

/**
 * Unpacks wheels into `target`: lib/, include/, for CUDA nvidia/, and manifest.json.
 * @param {{ python: string, wheels: string[], target: string }} what
 * @returns {Promise<string | null>} what went wrong
 */
export async function unpackWheels({ python, wheels, target }) {
  mkdirSync(target, { recursive: true });
  const outcome = await run(python, ['-c', unpackScript, target, ...wheels], {
    timeoutMs: unpackMs,
  });
  return outcome.ok ? null : `the wheel could not be unpacked: ${outcome.why}`;
}

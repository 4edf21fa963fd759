/**
 * `tandem data get NAME --to DIR`: fetches a public data set, checks it, unpacks it.
 *
 * Addresses and checksums are those that the data sets' own pages and TensorFlow Datasets name. An
 * interrupted call leaves what arrived in DIR and the next one goes on from there.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../shared/core/failures.ts';
import { didYouMean } from '../../shared/core/nearest.ts';
import type { CommandSpec } from '../command.ts';
import { download } from '../download.ts';
import { bytes, plural } from '../../shared/core/format.ts';
import { silent, terminalOf } from '../io.ts';
import { Progress } from '../progress.ts';
import { shellWord } from '../result.ts';
import { unpackTarGz } from '../unpack.ts';

interface PublicData {
  url: string;
  sha256: string;
  bytes: number;
  what: string;
}

export const publicData: Readonly<Record<string, PublicData>> = {
  flowers: {
    url: 'https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz',
    sha256: '4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c',
    bytes: 228_813_984,
    what: '3,670 photographs of flowers in 5 classes',
  },
  cifar10: {
    url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
    sha256: 'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd',
    bytes: 170_052_171,
    what: '60,000 images of 32 × 32 pixels in 10 classes',
  },
};

/** Written last: the data set lies here whole. Hidden, so that no index lists it. */
const doneFile = '.tandem-data.json';
/** A file of another address may be larger than the known one. */
const otherBytesMax = 16 * 1024 ** 3;

async function isDone(folder: string, sha256: string): Promise<boolean> {
  try {
    return JSON.parse(await readFile(join(folder, doneFile), 'utf8')).sha256 === sha256;
  } catch {
    return false;
  }
}

/** Makes the folder; refuses one with files that are not of an earlier call. */
async function openTarget(folder: string, name: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    const others = (await readdir(folder)).filter((file) => !file.startsWith('.tandem-'));
    const begun = (await readdir(folder)).includes(`.tandem-${name}.part`);
    if (others.length === 0 || begun) return;
    throw new Failure(
      'bad-option',
      `--to expects a new or empty folder, and ${folder} holds ${others[0]}: name another one.`,
    );
  } catch (error) {
    if (error instanceof Failure) throw error;
    const reason = (error as Error).message;
    throw new Failure('disk', `cannot make the folder ${folder}: ${reason}. Name another --to.`);
  }
}

export const dataGetCommand: CommandSpec = {
  name: 'data get',
  positional: 'NAME',
  positionalHelp: `which data set: ${Object.keys(publicData).join(', ')}`,
  summary: 'fetch a public data set, checked and unpacked',
  examples: [
    ['flower photographs, 229 MB', 'data get flowers --to data/flowers'],
    ['CIFAR-10, 170 MB', 'data get cifar10 --to data/cifar10'],
    ['from a copy nearby', 'data get flowers --to data/flowers --url http://127.0.0.1:8000/f.tgz'],
  ],
  declare(command) {
    command.option('--to <DIR>', 'new folder to unpack into');
    command.option('--url <URL>', 'another address of the same file');
    command.option('--sha256 <HEX>', 'its SHA-256, where it is another file');
    command.option('--json', 'as one JSON object');
  },
  prepare(args, flags, { io, program, quiet }) {
    const names = Object.keys(publicData);
    const name = args[0];
    const known = name === undefined ? undefined : publicData[name];
    if (name === undefined || known === undefined || !Object.hasOwn(publicData, name)) {
      const said = name === undefined ? 'say which data set' : `no data set "${name}" is known`;
      const offer = didYouMean(name ?? '', names) || ` There are: ${names.join(', ')}.`;
      throw new Failure('bad-option', `${said}.${offer}`);
    }
    const to = flags['to'];
    if (typeof to !== 'string' || to.trim() === '') {
      throw new Failure('bad-option', `say where to: --to DIR, such as --to data/${name}.`);
    }
    const url = String(flags['url'] ?? known.url);
    if (!/^https?:\/\/[^\s/]/.test(url) || !URL.canParse(url)) {
      throw new Failure('bad-option', `--url expects an address with http or https, not "${url}".`);
    }
    const sha256 = String(flags['sha256'] ?? known.sha256).toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(sha256)) {
      throw new Failure('bad-option', '--sha256 expects 64 hexadecimal digits.');
    }
    return async (signal) => {
      const next = `${program} data inspect ${shellWord(to)}`;
      const tell = (files: number | null): number => {
        const object = { name, folder: to, url, sha256, files };
        const line = `${to}: ${known.what}${files === null ? ', there already' : ''}`;
        io.stdout.write(
          flags['json'] === true ? `${JSON.stringify(object)}\n` : `${line}\nNext: ${next}\n`,
        );
        return 0;
      };
      if (await isDone(to, sha256)) return tell(null);
      await openTarget(to, name);
      const part = join(to, `.tandem-${name}.part`);
      const output = quiet ? silent : io.stderr;
      const progress = new Progress({
        output,
        ...terminalOf(output, io.env),
        now: () => performance.now(),
      });
      try {
        const bytesMax = sha256 === known.sha256 ? known.bytes : otherBytesMax;
        const onProgress = (done: number, total: number | null): void =>
          progress.waiting(`fetching ${bytes(done)}${total === null ? '' : ` of ${bytes(total)}`}`);
        progress.note(`fetching ${url}`);
        await download({ url, file: part, sha256, bytesMax, signal, onProgress });
        progress.waiting('unpacking');
        const files = await unpackTarGz(part, to, signal);
        if (files === 0) {
          throw new Failure('data-damaged', `${url} holds no file: check --url and --sha256.`);
        }
        await writeFile(join(to, doneFile), `${JSON.stringify({ name, url, sha256, files })}\n`);
        await rm(part);
        progress.finish();
        progress.note(`${plural(files, 'file')} unpacked`);
        return tell(files);
      } finally {
        progress.finish();
      }
    };
  },
};

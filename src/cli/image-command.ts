import { join } from 'node:path';
import type { ImageStore, ImportedImage, ImportProgress, StoredImage } from '../runtime/index.ts';
import { type ArgumentRequest, defineCommand, type Suggestions } from './command.ts';
import { boolFlag, listFlag, stringFlag } from './flag.ts';
import { humanBytes } from './human-bytes.ts';
import { runAmongManyUsers } from './in-user-namespace.ts';
import { Interruption } from './interruption.ts';
import type { Io } from './io.ts';
import { nearest } from './nearest.ts';
import { ProgressLine } from './progress-line.ts';
import { makeStateFolder, stateFolder } from './state-folder.ts';
import { UsageError } from './usage-error.ts';

const flags = {
  'state-dir': stringFlag({
    value: 'DIR',
    source: 'folder',
    help: "the runtime's folder; of `podwire up --state-dir DIR` it is DIR/runtime",
    shownDefault: "the user's state folder, runtime",
  }),
  name: listFlag({
    value: 'NAME',
    help: 'import: another name for the image, beside those in the archive; may be repeated',
  }),
  force: boolFlag({ short: 'f', help: 'rm: also while containers are made of it; they go on' }),
  quiet: boolFlag({ short: 'q', help: 'ls: ids only; import: no progress' }),
  'no-headers': boolFlag({ help: 'ls: no line of titles' }),
} as const;

const verbs = ['import', 'ls', 'rm'] as const;
type Verb = (typeof verbs)[number];

interface ImageOptions {
  readonly verb: string;
  readonly words: readonly string[];
  readonly stateDir: string;
  readonly names: readonly string[];
  readonly force: boolean;
  readonly quiet: boolean;
  readonly headers: boolean;
}

export const imageCommand = defineCommand({
  name: 'image',
  summary: "Images of podwire's runtime: import, list, remove",
  usage: '(import FILE… | ls | rm IMAGE…) [flags]',
  description: `
Gives the runtime images to make containers of. FILE is an OCI archive or layout folder, or what \`docker save\`
wrote; plain, gzip or zstd. IMAGE is an id, the beginning of one, name, name:tag or name@digest. Of an image with
several names rm takes the given one away; with the last name, or by id or digest, the image goes. A runtime that runs
sees each change at once; none has to run. Nothing is pulled from a registry.`,
  examples: [
    {
      about: 'from a registry, by way of an archive',
      line: 'skopeo copy docker://alpine oci-archive:alpine.tar:alpine:latest && podwire image import alpine.tar',
    },
    { about: 'an archive without a name in it', line: 'podwire image import --name shop.example/web:2 web.tar' },
    { about: 'what there is', line: 'podwire image ls' },
    {
      about: 'for `podwire up --state-dir /tmp/cluster`',
      line: 'podwire image import --state-dir /tmp/cluster/runtime web.tar',
    },
    { about: 'by name or id', line: 'podwire image rm web:2 4bcff63911fc' },
  ],
  groups: [{ title: 'Options', flags }],
  flags,
  complete: ({ args: [verb = '', ...words], values }, io): ImageOptions => ({
    verb: verb === 'list' ? 'ls' : verb === 'remove' ? 'rm' : verb,
    words,
    stateDir: stateDirOf(values['state-dir'], io),
    names: values.name,
    force: values.force,
    quiet: values.quiet,
    headers: !values['no-headers'],
  }),
  validate: ({ verb, words, names, force }) => {
    if (verb === '') throw new UsageError('you must say what to do with images: import, ls or rm');
    if (!isVerb(verb)) {
      const [meant] = nearest(verb, verbs);
      const hint = meant === undefined ? 'there are import, ls and rm' : `did you mean ${meant}?`;
      throw new UsageError(`podwire image does not know ${JSON.stringify(verb)}: ${hint}`);
    }
    if (verb === 'ls' && words.length > 0) throw new UsageError('image ls takes no argument');
    if (verb !== 'ls' && words.length === 0)
      throw new UsageError(`image ${verb} needs ${verb === 'rm' ? 'an IMAGE' : 'a FILE'}`);
    if (names.length > 0 && (verb !== 'import' || words.length > 1))
      throw new UsageError('--name is for the import of one FILE');
    if (force && verb !== 'rm') throw new UsageError('--force is for image rm');
  },
  run: async (options, io) => {
    if (options.verb === 'import') await makeStateFolder(options.stateDir);
    const inside = options.verb === 'ls' ? undefined : await runAmongManyUsers(io, options.stateDir);
    if (inside !== undefined) return inside;
    const { ImageStore } = await import('../runtime/index.ts');
    const store = new ImageStore(options.stateDir);
    if (options.verb === 'import') return importFiles(store, options, io);
    return options.verb === 'ls' ? list(store, options, io) : removeImages(store, options, io);
  },
  suggest,
});

function isVerb(word: string): word is Verb {
  return (verbs as readonly string[]).includes(word);
}

function stateDirOf(given: string | undefined, io: Io): string {
  return given ?? join(stateFolder(io), 'runtime');
}

async function importFiles(store: ImageStore, { words, names, quiet }: ImageOptions, io: Io): Promise<number> {
  using interruption = new Interruption(io);
  const line = new ProgressLine(io.err);
  try {
    for (const file of words) {
      const images = await store.import(file, {
        names,
        signal: interruption.signal,
        ...(!quiet && { onProgress: (progress) => line.show(`${file}: ${progressText(progress)}`) }),
      });
      line.clear();
      for (const image of images) {
        for (const name of importedNames(image))
          io.out.write(`imported ${name}  ${shortId(image)}  ${humanBytes(image.sizeBytes)}\n`);
      }
    }
    return 0;
  } catch (thrown) {
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    throw thrown;
  } finally {
    line.clear();
  }
}

function progressText({ step, at, of, bytes }: ImportProgress): string {
  const words = {
    archive: 'reading the archive',
    verify: `verifying layer ${at} of ${of}`,
    unpack: `unpacking layer ${at} of ${of}`,
  };
  return `${words[step]}, ${humanBytes(bytes)}`;
}

async function list(store: ImageStore, { quiet, headers }: ImageOptions, io: Io): Promise<number> {
  const { formatTable } = await import('../kubeapi/index.ts');
  const { HOST_IMAGE, HOST_IMAGE_ID } = await import('../runtime/index.ts');
  const images = store.list();
  if (quiet) {
    for (const { id } of images) io.out.write(`${id}\n`);
    return 0;
  }
  const rows = images
    .flatMap((image) =>
      namesOf(image).map((name) => [name, shortId(image), humanBytes(image.sizeBytes), createdOf(image)]),
    )
    .sort(([one = ''], [other = '']) => (one < other ? -1 : 1));
  const host = [
    `${HOST_IMAGE}:latest`,
    shortId({ id: HOST_IMAGE_ID }),
    '-',
    'built in: commands of this machine, isolates nothing',
  ];
  const columns = ['name', 'id', 'size', 'created'].map((name) => ({
    name,
    type: 'string' as const,
    format: '',
    description: '',
    priority: 0,
  }));
  const table = { columnDefinitions: columns, rows: [...rows, host].map((cells) => ({ cells })) };
  io.out.write(formatTable(table, { headers }));
  return 0;
}

async function removeImages(store: ImageStore, { words, force }: ImageOptions, io: Io): Promise<number> {
  const { fullReference, HOST_IMAGE, HOST_IMAGE_ID } = await import('../runtime/index.ts');
  const { ExecPathError } = await import('../common/errors.ts');
  // All are looked at before the first goes: a slip in one name removes nothing.
  const found = words.map((word) => {
    const image = store.find(word);
    if (image !== undefined) return image;
    const isHost = word === HOST_IMAGE_ID || word.replace(/:latest$/, '') === HOST_IMAGE;
    if (isHost) throw new ExecPathError('ERR_IMAGE_IN_USE', `${HOST_IMAGE} is built in and cannot be removed`);
    throw new ExecPathError(
      'ERR_IMAGE_UNKNOWN',
      `no image ${JSON.stringify(word)} in ${store.path}${hintFor(word, store)}`,
    );
  });
  const removals = [...new Map(found.map((one) => [one.id, one])).values()].map((image) => {
    const tags = words
      .filter((_word, at) => found[at]?.id === image.id)
      .map((word) => tagOf(word, fullReference(word), image));
    const isWhole = tags.includes(undefined) || image.repoTags.every((tag) => tags.includes(tag));
    return { image, isWhole, tags: isWhole ? image.repoTags : image.repoTags.filter((tag) => tags.includes(tag)) };
  });
  const used = removals.find(({ image, isWhole }) => isWhole && !force && store.isInUse(image))?.image;
  if (used !== undefined) {
    const message = `image ${nameOf(used)} (${shortId(used)}) is in use by a container`;
    throw new ExecPathError('ERR_IMAGE_IN_USE', message, { hop: 'runtime' });
  }
  for (const { image, isWhole, tags } of removals) {
    if (isWhole && !(await store.remove(image.id))) continue;
    for (const tag of tags) {
      if (!isWhole) store.untag(tag);
      io.out.write(`untagged ${familiar(tag)}  ${shortId(image)}\n`);
    }
    if (isWhole) io.out.write(`deleted ${shortId(image)}\n`);
  }
  return 0;
}

/** The one name of the image that `word` is; undefined for an id and a digest, which mean all of it. */
function tagOf(word: string, full: string, { id, repoTags }: StoredImage): string | undefined {
  const isId = id === word || (/^[0-9a-f]{7,64}$/.test(word) && id.startsWith(`sha256:${word}`));
  return isId ? undefined : repoTags.find((tag) => tag === full);
}

function hintFor(word: string, store: ImageStore): string {
  const [meant] = nearest(
    word,
    store.list().flatMap(({ repoTags }) => repoTags.flatMap((tag) => [tag, familiar(tag)])),
  );
  return meant === undefined ? '' : `: did you mean ${meant}?`;
}

async function suggest({ line, io }: ArgumentRequest): Promise<Suggestions> {
  const [verb, ...before] = line.args;
  if (verb === undefined)
    return ['import\ttake in archives and layout folders', 'ls\tshow what there is', 'rm\tremove images'];
  if (verb === 'import') return 'files';
  if (verb !== 'rm') return [];
  const { ImageStore } = await import('../runtime/index.ts');
  const given = line.values as { readonly 'state-dir'?: string };
  const images = new ImageStore(stateDirOf(given['state-dir'], io)).list();
  return images
    .flatMap((image) => [
      ...image.repoTags.map((tag) => `${familiar(tag)}\t${shortId(image)}`),
      `${shortId(image)}\t${nameOf(image)}`,
    ])
    .filter((candidate) => !before.includes(candidate.split('\t')[0] ?? ''));
}

/** At least one: an image that lost its names has its id's place in the table. */
function namesOf({ repoTags }: StoredImage): readonly string[] {
  return repoTags.length > 0 ? repoTags.map(familiar) : ['<none>'];
}

function nameOf({ repoTags }: StoredImage): string {
  return repoTags[0] === undefined ? '<none>' : familiar(repoTags[0]);
}

/** At least one, as for {@link namesOf}. */
function importedNames({ names }: ImportedImage): readonly string[] {
  return names.length > 0 ? names.map(familiar) : ['<none>'];
}

/** As people type it: without what is understood by itself. */
function familiar(tag: string): string {
  return tag.replace(/^docker\.io\/(library\/)?/, '');
}

/** As much of an id as tells images apart, and is taken as a reference. */
function shortId({ id }: Pick<StoredImage, 'id'>): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

function createdOf({ config }: StoredImage): string {
  const at = Date.parse(config.created);
  return Number.isNaN(at) ? '-' : new Date(at).toISOString().slice(0, 16).replace('T', ' ');
}

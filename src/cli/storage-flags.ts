import type { StoreOptions } from '../store/index.ts';
import { choiceFlag, durationFlag, type FlagValues, listFlag, stringFlag } from './flag.ts';
import { withoutUndefined } from './given-options.ts';
import { UsageError } from './usage-error.ts';

/** `--data-dir` and two of the backends are podwire's own, the others are kube-apiserver's. */
export const storageFlags = {
  'storage-backend': choiceFlag(['', 'embedded', 'memory', 'etcd', 'etcd3'], {
    value: 'embedded|memory|etcd',
    help: 'embedded: a folder of this machine; memory: gone with the process; etcd: shared with other apiservers',
    shownDefault: 'embedded, or etcd with --etcd-servers',
  }),
  'data-dir': stringFlag({
    value: 'DIR',
    source: 'folder',
    help: 'where the embedded store lies; one process at a time',
    shownDefault: 'store beside the certificates',
  }),
  'etcd-servers': listFlag({ value: 'URL,…', split: true, help: 'http://HOST:PORT or https:// of its members' }),
  'etcd-cafile': stringFlag({ value: 'FILE', source: 'file', help: 'CA of the members, PEM' }),
  'etcd-certfile': stringFlag({ value: 'FILE', source: 'file', help: 'certificate to show to them, PEM' }),
  'etcd-keyfile': stringFlag({ value: 'FILE', source: 'file', help: 'its key, PEM' }),
  'etcd-prefix': stringFlag({ value: 'PREFIX', help: 'what all keys begin with', shownDefault: '/registry' }),
  'etcd-compaction-interval': durationFlag({
    help: 'how long etcd keeps what objects were before; 0 leaves that to others',
    shownDefault: '5m',
  }),
} as const;

export type StorageFlagValues = FlagValues<typeof storageFlags>;

/** @throws UsageError for flags that do not go together */
export function validateStorage(values: StorageFlagValues): void {
  const backend = backendOf(values);
  const given = (Object.keys(storageFlags) as (keyof StorageFlagValues)[]).filter((name) => {
    const value = values[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== '';
  });
  const stray = given.find((name) => (name.startsWith('etcd-') ? backend !== 'etcd' : false));
  if (stray !== undefined) throw new UsageError(`--${stray} goes with --storage-backend=etcd`);
  if (values['data-dir'] !== undefined && backend !== undefined && backend !== 'embedded') {
    throw new UsageError('--data-dir goes with --storage-backend=embedded');
  }
  if (backend === 'etcd' && values['etcd-servers'].length === 0) {
    throw new UsageError('--storage-backend=etcd needs --etcd-servers');
  }
  if ((values['etcd-certfile'] === undefined) !== (values['etcd-keyfile'] === undefined)) {
    throw new UsageError('--etcd-certfile and --etcd-keyfile go together: give both or none');
  }
  if (values['etcd-prefix'] !== undefined && !/^\/[!-~]*[^/]$/.test(values['etcd-prefix'])) {
    throw new UsageError(
      `--etcd-prefix ${JSON.stringify(values['etcd-prefix'])} must begin with / and not end with it`,
    );
  }
}

/**
 * @param preferred what holds when no flag says
 * @param onProblem told of what goes wrong with etcd in the background
 */
export function storeOptions(
  values: StorageFlagValues,
  preferred: StoreOptions,
  onProblem: (problem: Error) => void,
): StoreOptions {
  switch (backendOf(values)) {
    case 'memory':
      return { storageBackend: 'memory' };
    case 'etcd':
      return {
        storageBackend: 'etcd',
        servers: values['etcd-servers'],
        ...withoutUndefined({
          caFile: values['etcd-cafile'],
          certFile: values['etcd-certfile'],
          keyFile: values['etcd-keyfile'],
          prefix: values['etcd-prefix'],
          compactionIntervalMs: values['etcd-compaction-interval'],
        }),
        onProblem,
      };
    case 'embedded':
    case undefined:
      return values['data-dir'] === undefined ? preferred : { storageBackend: 'embedded', dataDir: values['data-dir'] };
  }
}

/** Undefined: nothing said so. */
function backendOf(values: StorageFlagValues): 'embedded' | 'memory' | 'etcd' | undefined {
  const { 'storage-backend': backend, 'etcd-servers': servers, 'data-dir': dataDir } = values;
  if (backend === 'etcd3') return 'etcd';
  if (backend !== '') return backend;
  if (servers.length > 0) return 'etcd';
  return dataDir === undefined ? undefined : 'embedded';
}

import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answeringApi, json } from '../../../test/support/answering-api.ts';
import { mustRun } from '../../../test/support/child.ts';
import { Loopback } from '../../../test/support/loopback.ts';
import { type ObjectsApi, objectsApi } from '../../../test/support/objects-api.ts';
import type { Pod, TokenRequest, Volume } from '../../kubeapi/index.ts';
import { PodReferences } from '../pod-references.ts';
import { PodVolumes } from './pod-volumes.ts';

const loopback = new Loopback();
let folder: string;
let apiserver: ObjectsApi;
let volumes: PodVolumes;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-volumes-'));
  apiserver = await objectsApi(loopback);
  volumes = new PodVolumes(folders(), new PodReferences(apiserver.api.client), { refreshMs: 0 });
});
afterEach(async () => {
  await loopback[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const folders = (): { logs: string; volumes: string } => ({ logs: folder, volumes: folder });

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const pathOf = (kind: string, name: string): string => `/api/v1/namespaces/shop/${kind}/${name}`;

function podWith(volume: Omit<Volume, 'name'>, spec: Partial<Pod['spec']> = {}): Pod {
  return {
    metadata: {
      name: 'web',
      namespace: 'shop',
      uid: 'u-1',
      labels: { b: '2', a: 'say "1"' },
      annotations: { note: 'x' },
    },
    spec: {
      serviceAccountName: 'clerk',
      containers: [{ name: 'main', image: 'i', resources: { limits: { memory: '64Mi' } } }],
      volumes: [{ name: 'v', ...volume }],
      ...spec,
    },
  };
}

/** Paths and texts of the volume, and modes where they are not 0644. */
function shown(): Record<string, string> {
  const at = join(folder, 'u-1/v');
  const entries = readdirSync(join(at, '..data'), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    files.map((file) => {
      const mode = statSync(file).mode & 0o777;
      const note = mode === 0o644 ? '' : ` ${mode.toString(8)}`;
      return [`${file.slice(join(at, '..data/').length)}${note}`, readFileSync(file, 'utf8')];
    }),
  );
}

describe('an empty volume', () => {
  const modeOf = (): number => statSync(join(folder, 'u-1/v')).mode & 0o7777;

  it('is for everybody to write, whatever the umask', async () => {
    const before = process.umask(0o077);
    try {
      await volumes.prepare(podWith({ emptyDir: {} }));
    } finally {
      process.umask(before);
    }
    expect(modeOf()).toBe(0o777);
  });

  it('is whole or not there: a kubelet that was killed in between leaves none that only root can write', async () => {
    mkdirSync(join(folder, 'u-1/.v'), { recursive: true, mode: 0o700 });
    await volumes.prepare(podWith({ emptyDir: {} }));
    expect(modeOf()).toBe(0o777);
    expect(readdirSync(join(folder, 'u-1'))).toEqual(['v']);
  });

  it('stays as its pod has it', async () => {
    await volumes.prepare(podWith({ emptyDir: {} }));
    chmodSync(join(folder, 'u-1/v'), 0o700);
    await volumes.prepare(podWith({ emptyDir: {} }));
    expect(modeOf()).toBe(0o700);
  });
});

describe.skipIf(process.getuid?.() !== 0)('volumes in which something is mounted', () => {
  it('are not removed with what is there: a privileged container may have mounted a disk', async () => {
    await volumes.prepare(podWith({ emptyDir: {} }));
    const at = join(folder, 'u-1/v/a disk');
    mkdirSync(at);
    await mustRun('mount', ['-t', 'tmpfs', 'tmpfs', at]);
    symlinkSync(folder, `${folder}.link`);
    const byLink = { logs: `${folder}.link`, volumes: `${folder}.link` };
    const references = new PodReferences(apiserver.api.client);
    try {
      writeFileSync(join(at, 'dear'), 'x');
      await expect(volumes.remove('u-1')).rejects.toThrow(`something is mounted at ${JSON.stringify(at)}`);
      await expect(new PodVolumes(byLink, references).remove('u-1')).rejects.toThrow('something is mounted at');
      expect(readFileSync(join(at, 'dear'), 'utf8')).toBe('x');
    } finally {
      rmSync(`${folder}.link`);
      await mustRun('umount', [at]);
    }
    await volumes.remove('u-1');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('a volume of files', () => {
  beforeEach(() => {
    apiserver.objects.set(pathOf('configmaps', 'words'), {
      metadata: { name: 'words' },
      data: { hello: 'hello\n', bye: 'bye\n' },
      binaryData: { bytes: base64('\u0001\u0002') },
    });
    apiserver.objects.set(pathOf('secrets', 'keys'), { metadata: { name: 'keys' }, data: { key: base64('hush') } });
  });

  it('holds the keys of a config map', async () => {
    await volumes.prepare(podWith({ configMap: { name: 'words' } }));
    expect(shown()).toEqual({ hello: 'hello\n', bye: 'bye\n', bytes: '\u0001\u0002' });
    expect(statSync(join(folder, 'u-1')).mode & 0o777).toBe(0o750);
  });

  it('holds some of them where the pod wants them, with its modes', async () => {
    const items = [
      { key: 'hello', path: 'deep/er/greeting', mode: 0o400 },
      { key: 'bye', path: 'bye' },
    ];
    await volumes.prepare(podWith({ configMap: { name: 'words', items, defaultMode: 0o640 } }));
    expect(shown()).toEqual({ 'deep/er/greeting 400': 'hello\n', 'bye 640': 'bye\n' });
  });

  it('holds a secret', async () => {
    await volumes.prepare(podWith({ secret: { secretName: 'keys', defaultMode: 0o400 } }));
    expect(shown()).toEqual({ 'key 400': 'hush' });
  });

  it('holds what the pod says of itself', async () => {
    const field = (path: string, fieldPath: string): { path: string; fieldRef: { fieldPath: string } } => ({
      path,
      fieldRef: { fieldPath },
    });
    const items = [
      field('name', 'metadata.name'),
      field('labels', 'metadata.labels'),
      field('annotations', 'metadata.annotations'),
      field('one', "metadata.labels['b']"),
      { path: 'memory', resourceFieldRef: { containerName: 'main', resource: 'limits.memory', divisor: '1Mi' } },
    ];
    await volumes.prepare(podWith({ downwardAPI: { items } }));
    expect(shown()).toEqual({
      name: 'web',
      labels: 'a="say \\"1\\""\nb="2"',
      annotations: 'note="x"',
      one: '2',
      memory: '64',
    });
  });

  it('is empty when all that it wants may be absent', async () => {
    const optional = true;
    const items = [{ key: 'none', path: 'none' }];
    const sources = [{ configMap: { name: 'none', optional } }, { secret: { name: 'keys', items, optional } }];
    await volumes.prepare(podWith({ projected: { sources } }));
    expect(shown()).toEqual({});
  });

  it.each<[string, Omit<Volume, 'name'>, string]>([
    ['a config map', { configMap: { name: 'none' } }, 'configmaps "none" not found'],
    ['a secret', { secret: { secretName: 'none' } }, 'secrets "none" not found'],
    [
      'a key',
      { configMap: { name: 'words', items: [{ key: 'none', path: 'x' }] } },
      'references non-existent configmap key: none',
    ],
    [
      'a field',
      { downwardAPI: { items: [{ path: 'ip', fieldRef: { fieldPath: 'status.podIP' } }] } },
      'file "ip": podwire\'s kubelet has no status.podIP for a volume',
    ],
    [
      'a source',
      { projected: { sources: [{ clusterTrustBundle: { path: 'x' } } as object] } },
      "podwire's kubelet knows no projected clusterTrustBundle",
    ],
  ])('says what is not there: %s', async (_what, volume, message) => {
    const failure = `MountVolume.SetUp failed for volume "v" : ${message}`;
    await expect(volumes.prepare(podWith(volume))).rejects.toThrow(failure);
  });

  it.each(['', '/etc/passwd', '..', '../x', 'a/../../x', '..data', 'a//b', './a', 'a\0b'])(
    'writes nothing outside itself: %j',
    async (path) => {
      const volume = { configMap: { name: 'words', items: [{ key: 'hello', path }] } };
      await expect(volumes.prepare(podWith(volume))).rejects.toThrow('cannot be a file of a volume');
    },
  );

  it('wants an apiserver', async () => {
    volumes = new PodVolumes(folders(), new PodReferences(undefined));
    await expect(volumes.prepare(podWith({ configMap: { name: 'words' } }))).rejects.toThrow(
      'ConfigMap "words" is wanted of an apiserver, and this kubelet has none',
    );
  });

  it('follows what changes, and keeps what it has while the apiserver says nothing', async () => {
    const pod = podWith({ configMap: { name: 'words' } });
    await volumes.prepare(pod);
    const errors: string[] = [];
    /** What is seen while one refresh follows the other. */
    const whileFollowing = <T>(look: () => T): ReturnType<typeof expect.poll> =>
      expect.poll(() => {
        volumes.refresh(pod, ({ message }) => errors.push(message));
        return look();
      });
    const { asked } = apiserver.api;
    apiserver.objects.set(pathOf('configmaps', 'words'), { metadata: { name: 'words' }, data: { hello: 'anew' } });
    await whileFollowing(shown).toEqual({ hello: 'anew' });
    apiserver.objects.set(pathOf('configmaps', 'words'), 500);
    const before = asked.length;
    // The third began when the second was over.
    await whileFollowing(() => asked.length).toBeGreaterThan(before + 2);
    expect([errors, shown()]).toEqual([[], { hello: 'anew' }]);
    apiserver.objects.delete(pathOf('configmaps', 'words'));
    await whileFollowing(() => errors.join()).toContain('configmaps "words" not found');
    expect(shown()).toEqual({ hello: 'anew' });
    await volumes.remove('u-1');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('goes with its pod, though the apiserver keeps silent', async () => {
    const silent = await answeringApi(loopback, [json({ metadata: { name: 'words' } }), () => {}]);
    volumes = new PodVolumes(folders(), new PodReferences(silent.client), { refreshMs: 0 });
    const pod = podWith({ configMap: { name: 'words' } });
    await volumes.prepare(pod);
    volumes.refresh(pod, () => {});
    await expect.poll(() => silent.asked.length).toBe(2);
    await volumes.remove('u-1');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('the token of a service account', () => {
  const TOKEN = pathOf('serviceaccounts/clerk', 'token');
  let requests: TokenRequest[];
  let lifeMs: number;

  beforeEach(() => {
    requests = [];
    lifeMs = 3_600_000;
    apiserver.objects.set(TOKEN, (body) => {
      const request = JSON.parse(body) as TokenRequest;
      requests.push(request);
      const expirationTimestamp = new Date(Date.now() + lifeMs).toISOString();
      return { ...request, status: { token: `token-${requests.length}`, expirationTimestamp } };
    });
  });

  const serviceAccountToken = { path: 'token', expirationSeconds: 3607 };
  const volume = { projected: { sources: [{ serviceAccountToken }] } };

  it('is one that dies with the pod, for the audience that the pod names', async () => {
    const others = { path: 'vault', audience: 'vault', expirationSeconds: 600 };
    const sources = [{ serviceAccountToken }, { serviceAccountToken: others }];
    await volumes.prepare(podWith({ projected: { sources } }));
    expect(shown()).toEqual({ token: 'token-1', vault: 'token-2' });
    const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: 'web', uid: 'u-1' };
    expect(requests.map(({ spec }) => spec)).toEqual([
      { audiences: [], expirationSeconds: 3607, boundObjectRef },
      { audiences: ['vault'], expirationSeconds: 600, boundObjectRef },
    ]);
  });

  it('is asked for again when most of its life is over, not before', async () => {
    await volumes.prepare(podWith(volume));
    await volumes.prepare(podWith(volume));
    expect(shown()).toEqual({ token: 'token-1' });
    volumes = new PodVolumes(folders(), new PodReferences(apiserver.api.client), { refreshMs: 0 });
    lifeMs = 1;
    await volumes.prepare(podWith(volume));
    expect(shown()).toEqual({ token: 'token-2' });
    await expect
      .poll(() => {
        volumes.refresh(podWith(volume), () => {});
        return shown();
      })
      .toEqual({ token: expect.stringMatching(/^token-(?:[3-9]|\d\d+)$/) });
  });

  it('belongs to the one user that all containers run as, or to the group of the volumes', async () => {
    await volumes.prepare(podWith(volume, { securityContext: { runAsUser: process.getuid?.() ?? 0 } }));
    expect(shown()).toEqual({ 'token 600': 'token-1' });
    await volumes.prepare(podWith(volume, { securityContext: { fsGroup: process.getgid?.() ?? 0 } }));
    expect(shown()).toEqual({ 'token 640': 'token-1' });
  });
});

import { describe, expect, it } from 'vitest';
import { parseManifests, parsePodManifest, validatePod } from './manifest.ts';

const good = `
apiVersion: v1
kind: Pod
metadata: { name: web, creationTimestamp: null, labels: { app: web } }
spec:
  futureField: { kept: yes }
  containers:
  - name: main
    image: registry.example/app:1
    command: [sh, -c, "sleep 1"]
    tty: yes
    resources: { limits: { cpu: 500m, memory: 1Gi } }
    volumeMounts: [{ name: data, mountPath: /data }]
  volumes: [{ name: data, configMap: { defaultMode: 0644 } }]
`;

async function message(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'it was accepted',
    (error: Error) => error.message,
  );
}

describe('parsePodManifest', () => {
  it('reads a pod as kubectl does, keeps what it does not know and drops nulls', async () => {
    const pod = await parsePodManifest(good, 'pod.yaml');
    expect(pod.metadata).toEqual({ name: 'web', labels: { app: 'web' } });
    expect(pod.spec).toMatchObject({ futureField: { kept: true }, containers: [{ tty: true }] });
    expect(pod.spec.volumes?.[0]?.configMap?.defaultMode).toBe(0o644);
  });

  it('takes JSON, and generateName for a name', async () => {
    const text = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { generateName: 'web-' },
      spec: { containers: [{ name: 'a', image: 'i' }] },
    });
    expect((await parsePodManifest(text, '-')).metadata).toEqual({ generateName: 'web-', name: '' });
  });

  const container = { name: 'a', image: 'i' };
  const pod = (change: Record<string, unknown>, spec: Record<string, unknown> = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web' },
    spec: { containers: [container], ...spec },
    ...change,
  });

  it.each([
    ['a missing container list', pod({ spec: {} }), 'spec.containers is missing'],
    ['an empty container list', pod({}, { containers: [] }), 'spec.containers needs at least one container'],
    ['another kind', pod({ kind: 'Job' }), 'kind must be "Pod", not "Job"'],
    ['no name', pod({ metadata: {} }), 'metadata.name is missing'],
    ['a bad name', pod({ metadata: { name: 'Web_1' } }), 'metadata.name "Web_1" must be at most 253 lower-case'],
    [
      'a number for text',
      pod({}, { containers: [{ ...container, args: ['a', 5] }] }),
      'spec.containers[0].args[1] must be text (quote it), not 5',
    ],
    ['text for a flag', pod({}, { hostNetwork: 'true' }), 'spec.hostNetwork must be true or false, not "true"'],
    ['a container without image', pod({}, { containers: [{ name: 'a' }] }), 'spec.containers[0].image is missing'],
    [
      'an unknown policy',
      pod({}, { restartPolicy: 'never' }),
      'spec.restartPolicy must be "Always" or "OnFailure" or "Never", not "never"',
    ],
    [
      'a port out of range',
      pod({}, { containers: [{ ...container, ports: [{ containerPort: 70000 }] }] }),
      'spec.containers[0].ports[0].containerPort must be at most 65535, not 70000',
    ],
    [
      'a fraction',
      pod({}, { terminationGracePeriodSeconds: 1.5 }),
      'spec.terminationGracePeriodSeconds must be a whole number, not 1.5',
    ],
    [
      'no quantity',
      pod({}, { containers: [{ ...container, resources: { limits: { cpu: 'much' } } }] }),
      'spec.containers[0].resources.limits.cpu must be a quantity',
    ],
    [
      'two containers of a name',
      pod({}, { initContainers: [container] }),
      'spec.containers[0].name "a" is taken by another container',
    ],
    [
      'a mount of no volume',
      pod({}, { containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/' }] }] }),
      'spec.containers[0].volumeMounts[0].name "v" is no volume of this pod',
    ],
    ['a list', [], 'it must be a mapping'],
  ])('refuses %s', async (_what, value, words) => {
    const said = await message(validatePod(value, 'pod.yaml'));
    expect(said).toContain('pod.yaml is not a pod: ');
    expect(said).toContain(words);
  });

  it('lists all that is wrong, up to ten', async () => {
    const containers = Array.from({ length: 12 }, () => ({ name: 'A' }));
    expect(await message(validatePod(pod({}, { containers }), 'p'))).toMatch(/(;.*){9}; and 14 more$/);
  });

  it('refuses broken YAML with the line, several documents and alias bombs', async () => {
    expect(await message(parsePodManifest('a: [1\nb: 2', 'p.yaml'))).toMatch(/^p\.yaml is not YAML: .* line 2/);
    expect(await message(parsePodManifest(`${good}\n---\n${good}`, 'p.yaml'))).toBe(
      'p.yaml holds 2 documents, not one pod',
    );
    const bomb = ['a0: &a0 [x, x]', ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)];
    expect(await message(parsePodManifest(bomb.join('\n'), 'p.yaml'))).toMatch(/not YAML: Excessive alias count/);
  });
});

describe('parseManifests', () => {
  it('reads every document and every item of a list', async () => {
    const text = `${good}---\n# nothing here\n---\n{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Namespace, metadata: {name: ns}}]}`;
    const objects = await parseManifests(text, '-');
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(['Pod web', 'Namespace ns']);
  });

  it('says which document lacks what', async () => {
    expect(await message(parseManifests(`${good}---\nkind: Pod\n`, 'f'))).toBe('f, document 2: apiVersion is missing');
    expect(await message(parseManifests('{apiVersion: v1, kind: Pod, metadata: {name: n}}', 'f'))).toBe(
      'f: metadata.name must be text (quote it), not false',
    );
    expect(await message(parseManifests('just text', 'f'))).toBe('f is not a mapping');
    expect(await message(parseManifests('{apiVersion: v1, kind: Pod, metadata: {}}', 'f'))).toBe(
      'f: metadata.name is missing',
    );
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiAnswer } from '../support/api-world.ts';
import { describeWithPeer } from '../support/peer.ts';
import { refusalOf, TwinApiservers } from './twin-apiservers.ts';

const PODS = '/api/v1/namespaces/default/pods?dryRun=All';

const container = { name: 'c', image: 'i' };

/** What pods ask for, most of it in vain. */
const specs: readonly object[] = [
  { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: {} } } },
  { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } } } },
  { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{}] } } } },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'In' }] }],
        },
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Exists', values: ['x'] }] }],
        },
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1', '2'] }] }],
        },
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Gt', values: ['x'] }] }],
        },
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'is', values: ['1'] }] }],
        },
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: '', operator: '' }] }],
        },
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'a b', operator: 'In', values: ['no good'] }] }],
        },
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a', 'b'] }] }],
        },
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'Exists' }] }],
        },
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.uid', operator: 'In', values: ['a'] }] }],
        },
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['A_b'] }] }],
        },
      },
    },
  },
  { affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 0, preference: {} }] } } },
  {
    affinity: {
      nodeAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { preference: { matchExpressions: [{ key: 'a', operator: 'In' }] } },
        ],
      },
    },
  },
  {
    affinity: {
      nodeAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 101, preference: { matchExpressions: [{ key: 'a', operator: 'In', values: ['a b'] }] } },
        ],
      },
    },
  },
  { affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: -1 }] } } },
  { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{}] } } },
  { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: '' }] } } },
  { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'a b' }] } } },
  {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone', namespaces: ['A', 'b.c'] }],
      },
    },
  },
  {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'zone', labelSelector: { matchLabels: { 'a b': 'c' } } },
        ],
      },
    },
  },
  {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'zone', labelSelector: { matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1'] }] } },
        ],
      },
    },
  },
  {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            topologyKey: 'zone',
            labelSelector: {
              matchExpressions: [
                { key: 'a', operator: 'In' },
                { key: 'b', operator: 'Exists', values: ['x'] },
                { key: 'c', operator: 'NotIn', values: ['a b'] },
              ],
            },
          },
        ],
      },
    },
  },
  {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'zone', namespaceSelector: { matchLabels: { a: 'b c' } } },
        ],
      },
    },
  },
  {
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 0, podAffinityTerm: { topologyKey: 'zone' } }],
      },
    },
  },
  { affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 200 }] } } },
  {
    affinity: {
      podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: {} }] },
    },
  },
  {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone', matchLabelKeys: ['app'] }],
      },
    },
  },
  {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'zone', labelSelector: {}, matchLabelKeys: ['a b'], mismatchLabelKeys: ['c d'] },
        ],
      },
    },
  },
  {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'zone', labelSelector: {}, matchLabelKeys: ['app'], mismatchLabelKeys: ['app'] },
        ],
      },
    },
  },
  {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'zone', labelSelector: { matchLabels: { app: 'x' } }, matchLabelKeys: ['app'] },
        ],
      },
    },
  },
  {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            topologyKey: 'zone',
            labelSelector: { matchExpressions: [{ key: 'app', operator: 'Exists' }] },
            matchLabelKeys: ['app'],
          },
        ],
      },
    },
  },
  {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            topologyKey: 'zone',
            labelSelector: { matchExpressions: [{ key: 'app', operator: 'Exists' }] },
            mismatchLabelKeys: ['app'],
          },
        ],
      },
    },
  },
  { topologySpreadConstraints: [{}] },
  {
    topologySpreadConstraints: [
      { maxSkew: 0, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
    ],
  },
  {
    topologySpreadConstraints: [
      { maxSkew: -2, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
    ],
  },
  {
    topologySpreadConstraints: [{ maxSkew: 1, topologyKey: '', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} }],
  },
  {
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'a b', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
    ],
  },
  { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'x', labelSelector: {} }] },
  {
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
    ],
  },
  {
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway', labelSelector: {} },
    ],
  },
  {
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
    ],
  },
  {
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {}, minDomains: 0 },
    ],
  },
  {
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway', labelSelector: {}, minDomains: 2 },
    ],
  },
  {
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: '', labelSelector: {}, minDomains: -1 },
    ],
  },
  {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: {},
        nodeAffinityPolicy: 'x',
        nodeTaintsPolicy: '',
      },
    ],
  },
  {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: {},
        matchLabelKeys: ['app', 'a b'],
      },
    ],
  },
  {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: null,
        matchLabelKeys: ['app'],
      },
    ],
  },
  {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: { matchLabels: { app: 'x' }, matchExpressions: [{ key: 'k', operator: 'Exists' }] },
        matchLabelKeys: ['app', 'k'],
      },
    ],
  },
  {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: { matchLabels: { a: 'b c' }, matchExpressions: [{ key: 'k', operator: 'x' }] },
      },
    ],
  },
  { securityContext: { appArmorProfile: {} } },
  { securityContext: { appArmorProfile: { type: 'x' } } },
  { securityContext: { appArmorProfile: { type: 'Localhost' } } },
  { securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: ' a' } } },
  { securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: '' } } },
  { securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: '  ' } } },
  { securityContext: { appArmorProfile: { type: 'RuntimeDefault', localhostProfile: 'a' } } },
  { containers: [{ name: 'c', image: 'i', securityContext: { appArmorProfile: { type: 'x' } } }] },
  { containers: [{ name: 'c', image: 'i', volumeDevices: [{ name: '', devicePath: '' }] }] },
  {
    containers: [{ name: 'c', image: 'i', volumeDevices: [{ name: 'e', devicePath: '/a/../b' }] }],
    volumes: [{ name: 'e', emptyDir: {} }],
  },
  {
    containers: [
      {
        name: 'c',
        image: 'i',
        volumeDevices: [
          { name: 'e', devicePath: '/a' },
          { name: 'e', devicePath: '/a' },
        ],
        volumeMounts: [{ name: 'e', mountPath: '/a' }],
      },
    ],
    volumes: [{ name: 'e', persistentVolumeClaim: { claimName: 'x' } }],
  },
  {
    containers: [
      { name: 'c', image: 'i', volumeMounts: [{ name: 'e', mountPath: '/a', recursiveReadOnly: 'Enabled' }] },
    ],
    volumes: [{ name: 'e', emptyDir: {} }],
  },
  {
    containers: [{ name: 'c', image: 'i', volumeMounts: [{ name: 'e', mountPath: '/a', recursiveReadOnly: 'x' }] }],
    volumes: [{ name: 'e', emptyDir: {} }],
  },
  {
    containers: [
      {
        name: 'c',
        image: 'i',
        volumeMounts: [
          {
            name: 'e',
            mountPath: '/a',
            readOnly: true,
            mountPropagation: 'HostToContainer',
            recursiveReadOnly: 'IfPossible',
          },
        ],
      },
    ],
    volumes: [{ name: 'e', emptyDir: {} }],
  },
  { os: { name: 'linux' }, securityContext: { windowsOptions: {} } },
  {
    os: { name: 'windows' },
    hostPID: true,
    hostIPC: false,
    shareProcessNamespace: false,
    securityContext: {
      runAsUser: 1,
      fsGroup: 1,
      seccompProfile: { type: 'RuntimeDefault' },
      sysctls: [{ name: 'kernel.sem', value: '1' }],
    },
    containers: [{ name: 'c', image: 'i', securityContext: { runAsUser: 1, privileged: false, capabilities: {} } }],
  },
  { os: {} },
  { os: { name: 'mac' } },
  {
    os: { name: 'linux' },
    containers: [{ name: 'c', image: 'i', securityContext: { windowsOptions: { runAsUserName: 'x' } } }],
  },
  { nodeName: 'n', schedulingGates: [{ name: 'a' }] },
  { imagePullSecrets: [{ name: '' }] },
  { preemptionPolicy: 'x' },
  { activeDeadlineSeconds: 0 },
  { hostAliases: [{ ip: 'x', hostnames: ['A b'] }] },
  { priorityClassName: 'A b' },
  {
    restartPolicy: 'x',
    dnsPolicy: 'y',
    affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{}] } },
    topologySpreadConstraints: [{}],
    hostname: 'A',
    tolerations: [{ key: 'a b' }],
  },
  { ephemeralContainers: [{ name: 'e', image: 'i' }], nodeName: 'n', schedulingGates: [{ name: 'a' }] },
  { terminationGracePeriodSeconds: -5 },
  { dnsConfig: { options: [{ name: '' }] } },
  { readinessGates: [{ conditionType: '' }] },
  { setHostnameAsFQDN: true, hostname: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' },
  { shareProcessNamespace: true, hostPID: true },
  { hostNetwork: true, containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 1, hostPort: 2 }] }] },
  { nodeSelector: { 'a b': 'c d' } },
  { tolerations: [{ operator: 'Equal', value: 'x' }] },
  { runtimeClassName: 'nope' },
  { runtimeClassName: 'No_pe' },
  { runtimeClassName: 'nope', restartPolicy: 'x' },
  { runtimeClassName: 'nope', priority: 5 },
  { runtimeClassName: 'nope', overhead: { cpu: '1' } },
  { overhead: { cpu: '1' } },
];

const metadata: readonly object[] = [
  { annotations: { 'controller.kubernetes.io/pod-deletion-cost': 'x' } },
  { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '+1' } },
  { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '008' } },
  { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '0' } },
  { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-5' } },
  { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '2147483648' } },
  { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '' } },
  { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-' } },
  { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '1.5' } },
  { annotations: { 'seccomp.security.alpha.kubernetes.io/pod': 'x' } },
  { annotations: { 'container.seccomp.security.alpha.kubernetes.io/c': 'localhost/../x' } },
  { annotations: { 'container.apparmor.security.beta.kubernetes.io/c': 'x' } },
  { annotations: { 'container.apparmor.security.beta.kubernetes.io/d': 'unconfined' } },
  { annotations: { 'container.apparmor.security.beta.kubernetes.io/d': 'y' } },
  { annotations: { 'kubernetes.io/config.mirror': 'x' } },
  { labels: { 'a b': 'c' } },
  { finalizers: ['x'] },
  { ownerReferences: [{}] },
];

describeWithPeer(['kube-apiserver', 'etcd'], 'pods at our apiserver and at a real one', () => {
  let twins: TwinApiservers;

  beforeAll(async () => {
    twins = await TwinApiservers.start();
  }, 180_000);

  afterAll(async () => {
    await twins?.[Symbol.asyncDispose]();
  }, 60_000);

  async function expectSame(pod: object): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'Pod', ...pod };
    const { real, ours } = await twins.both(PODS, { method: 'POST', body });
    expect(refusalOf(ours)).toEqual(refusalOf(real));
  }

  describe('are judged the same', () => {
    it.each(specs)('with %j', async (spec) => {
      await expectSame({ metadata: { name: 'p', labels: { app: 'a' } }, spec: { containers: [container], ...spec } });
    });

    it.each(metadata)('with %j', async (more) => {
      await expectSame({ metadata: { name: 'p', ...more }, spec: { containers: [container] } });
    });
  });

  it('that are mirrors have no class either', async () => {
    const metadata = { name: 'p', annotations: { 'kubernetes.io/config.mirror': 'x' } };
    const spec = { containers: [container], nodeName: 'n', runtimeClassName: 'nope' };
    await expectSame({ metadata, spec });
  });

  it('select by their own labels', async () => {
    const selector = { matchExpressions: [{ key: 'k', operator: 'Exists' }] };
    const term = {
      topologyKey: 'zone',
      labelSelector: selector,
      matchLabelKeys: ['app'],
      mismatchLabelKeys: ['tenant', 'k'],
    };
    const required = 'requiredDuringSchedulingIgnoredDuringExecution';
    const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
    const affinity = {
      podAffinity: { [required]: [term], [preferred]: [{ weight: 1, podAffinityTerm: term }] },
      podAntiAffinity: {
        [required]: [{ ...term, labelSelector: undefined, matchLabelKeys: undefined, mismatchLabelKeys: undefined }],
      },
    };
    const spec = { containers: [container], affinity };
    const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', labels: { app: 'a', tenant: 't' } }, spec };
    const { real, ours } = await twins.both(PODS, { method: 'POST', body });
    expect(ours.json).toMatchObject({
      spec: { affinity: (real.json as { spec: { affinity: object } }).spec.affinity },
    });
    expect(ours.text).toContain('"NotIn"');
  });

  describe('are deleted and changed by the same requests', () => {
    const POD = '/api/v1/namespaces/default/pods';

    beforeAll(async () => {
      const gated = { nodeSelector: { a: 'b' }, schedulingGates: [{ name: 'a.b/c' }] };
      for (const [name, spec] of Object.entries({ bound: { nodeName: 'n' }, gated })) {
        const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers: [container], ...spec } };
        await twins.both(POD, { method: 'POST', body });
      }
    });

    /** Without what each server gives by itself. */
    const masked = (refusal: unknown): unknown =>
      JSON.parse(JSON.stringify(refusal).replaceAll(/in (record|object meta:) ?\(?[-\da-f]+\)?/g, 'in $1'));

    it.each<[string, unknown]>([
      ['/bound?dryRun=All', undefined],
      ['/bound?dryRun=All', {}],
      ['/bound?dryRun=All', { foo: 1 }],
      ['/bound?dryRun=All', { kind: 'DeleteOptions', apiVersion: 'v9' }],
      ['/bound?dryRun=All', { gracePeriodSeconds: -5 }],
      ['/bound', { propagationPolicy: 'x' }],
      ['/bound', { propagationPolicy: 'Orphan', orphanDependents: true }],
      ['/bound', { dryRun: ['x'] }],
      ['/bound', { preconditions: { uid: 'nope' } }],
      ['/bound', { preconditions: { resourceVersion: '1' } }],
      ['/bound?gracePeriodSeconds=x', undefined],
      ['/bound?gracePeriodSeconds=', undefined],
      ['/bound?dryRun=x', undefined],
      ['/bound?propagationPolicy=x', undefined],
      ['/none', {}],
    ])('DELETE %s with %j', async (path, body) => {
      const { real, ours } = await twins.both(`${POD}${path}`, { method: 'DELETE', body });
      expect(masked(refusalOf(ours))).toEqual(masked(refusalOf(real)));
    });

    it('but what cannot be read as the options of a deletion is the caller’s fault', async () => {
      const bodies = ['x', '[]', '"x"', '{} x', '{"gracePeriodSeconds":"x"}', '{"kind":"Pod","apiVersion":"v1"}'];
      for (const body of bodies) {
        const { real, ours } = await twins.both(`${POD}/bound`, { method: 'DELETE', body });
        expect([body, real.status, ours.status]).toEqual([body, 500, 400]);
      }
    });

    it('and namespaces not all at once', async () => {
      const { real, ours } = await twins.both('/api/v1/namespaces', { method: 'DELETE' });
      expect(refusalOf(ours)).toEqual(refusalOf(real));
      expect(ours.status).toBe(405);
    });

    const required = 'requiredDuringSchedulingIgnoredDuringExecution';
    const terms = [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }];

    const lasting = {
      name: 'e',
      image: '',
      ports: [{ containerPort: 1 }],
      livenessProbe: { exec: {} },
      lifecycle: {},
      resources: { limits: { cpu: '1' } },
    };

    it.each<[string, object]>([
      ['/gated', { spec: { nodeSelector: { a: 'c' } } }],
      ['/gated', { spec: { nodeSelector: { c: 'd' } } }],
      ['/gated', { spec: { schedulingGates: [{ name: 'x.y/z' }] } }],
      ['/gated', { spec: { affinity: { nodeAffinity: { [required]: { nodeSelectorTerms: terms } } } } }],
      ['/bound/ephemeralcontainers', { spec: { ephemeralContainers: [{ ...container, targetContainerName: 'x' }] } }],
      ['/bound/ephemeralcontainers', { spec: { ephemeralContainers: [lasting] } }],
      ['/bound', { metadata: { namespace: 'other' } }],
    ])('PATCH %s with %j', async (path, body) => {
      const headers = { 'Content-Type': 'application/merge-patch+json' };
      const { real, ours } = await twins.both(`${POD}${path}?dryRun=All`, { method: 'PATCH', body, headers });
      expect(refusalOf(ours)).toEqual(refusalOf(real));
    });

    const at = { op: 'add', path: '/metadata/annotations', value: { list: 'a', 'x/y': 'b' } };

    it.each<[unknown]>([
      [[at, { op: 'add', path: '/metadata/annotations/x~1y', value: 'c' }]],
      [[at, { op: 'replace', path: '/metadata/annotations/list', value: 'b' }]],
      [[at, { op: 'replace', path: '/metadata/annotations/missing', value: 'b' }]],
      [[at, { op: 'replace', path: '/metadata/missing/missing', value: 'b' }]],
      [[at, { op: 'remove', path: '/metadata/annotations/missing' }]],
      [[at, { op: 'remove', path: '/metadata/annotations/list' }]],
      [[at, { op: 'test', path: '/metadata/annotations/list', value: 'a' }]],
      [[at, { op: 'test', path: '/metadata/annotations/list', value: 'b' }]],
      [[at, { op: 'test', path: '/metadata/annotations/missing', value: null }]],
      [[at, { op: 'test', path: '/metadata/annotations/missing', value: 'a' }]],
      [[at, { op: 'test', path: '/metadata/name', value: 'bound' }]],
      [[at, { op: 'copy', from: '/metadata/annotations/list', path: '/metadata/annotations/copied' }]],
      [[at, { op: 'copy', from: '/metadata/missing/x', path: '/metadata/annotations/copied' }]],
      [[at, { op: 'move', from: '/metadata/annotations/list', path: '/metadata/annotations/moved' }]],
      [[at, { op: 'move', from: '/metadata/annotations/missing', path: '/metadata/annotations/moved' }]],
      [[at, { op: 'add', path: '/spec/containers/-1/image', value: 'last' }]],
      [[at, { op: 'replace', path: '/spec/containers/0/image', value: 'first' }]],
      [[at, { op: 'replace', path: '/spec/containers/9/image', value: 'none' }]],
      [[at, { op: 'remove', path: '/spec/containers/9' }]],
      [[at, { op: 'add', path: '/spec/containers/x', value: {} }]],
      [[at, { op: 'add', path: '/spec/tolerations/9', value: { operator: 'Exists' } }]],
      [[at, { op: 'add', path: 'metadata', value: 'a' }]],
      [[at, { op: 'add', path: '', value: {} }]],
      [[at, { op: 'remove', path: '' }]],
      [[at, { op: 'add', path: '/metadata/labels' }]],
      [[at, { op: 'explode', path: '/metadata/labels' }]],
      [[at, { path: '/metadata/labels' }]],
      [[at, { op: 'add' }]],
      [[at, 'add']],
      [[at, null]],
      [{}],
      ['x'],
    ])('PATCH by the operations %j', async (body) => {
      const headers = { 'Content-Type': 'application/json-patch+json' };
      const call = { method: 'PATCH', body: JSON.stringify(body), headers };
      const { real, ours } = await twins.both(`${POD}/bound?dryRun=All`, call);
      const partsOf = ({ status, json }: ApiAnswer): unknown => {
        const { metadata, spec, reason } = json as Partial<Record<string, Readonly<Record<string, unknown>>>>;
        const images = (spec?.['containers'] as { image: string }[] | undefined)?.map(({ image }) => image);
        return { status, reason, annotations: metadata?.['annotations'], images };
      };
      expect(partsOf(ours)).toEqual(partsOf(real));
    });
  });
});

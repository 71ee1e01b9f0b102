import { describe, expect, it } from 'vitest';
import { invalid } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { withPodDefaults } from '../pod-defaults.ts';
import { ephemeralUpdateErrors, mirrorUpdateErrors, podUpdateErrors } from './pod-update-rules.ts';
import { newPodErrors, podErrors } from './pod-validation.ts';
import { taintErrors } from './taint-validation.ts';

const container = { name: 'c', image: 'i' };

const podOf = (spec: object): ApiObject =>
  withPodDefaults({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [container], ...spec },
  });

const faultsOf = (spec: object): string[] => podErrors(podOf(spec)).map(({ field, message }) => `${field}: ${message}`);

describe('the rules of a pod', () => {
  it.each([
    [{ containers: [] }, ['spec.containers: Required value']],
    [{ containers: [{}] }, ['spec.containers[0].name: Required value', 'spec.containers[0].image: Required value']],
    [{ initContainers: [container] }, ['spec.initContainers[0].name: Duplicate value: "c"']],
    [
      { restartPolicy: 'Maybe' },
      ['spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"'],
    ],
    [
      { containers: [{ ...container, imagePullPolicy: 'x' }] },
      [
        'spec.containers[0].imagePullPolicy: Unsupported value: "x": supported values: "Always", "IfNotPresent", "Never"',
      ],
    ],
    [
      { containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/v' }] }] },
      ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
    ],
    [
      { volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/x' } }] },
      ['spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type'],
    ],
    [
      { volumes: [{ name: 'v', hostPath: { path: '/a/../b' } }] },
      [`spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain '..'`],
    ],
    [
      { containers: [{ ...container, ports: [{ containerPort: 70000 }] }] },
      ['spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive'],
    ],
    [
      { containers: [{ ...container, resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } }] },
      ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ],
    [
      { containers: [{ ...container, env: [{ name: 'A', valueFrom: {} }] }] },
      [
        'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
      ],
    ],
    [
      { containers: [{ ...container, env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.foo' } } }] }] },
      [
        'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": error converting fieldPath: field label not supported: spec.foo',
      ],
    ],
    [
      { activeDeadlineSeconds: 0 },
      ['spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive'],
    ],
    [
      { containers: [{ ...container, livenessProbe: {} }] },
      ['spec.containers[0].livenessProbe: Required value: must specify a handler type'],
    ],
    [
      { tolerations: [{ value: 'x' }] },
      [
        'spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ],
    ],
  ])('refuse %j', (spec, faults) => {
    expect(faultsOf(spec)).toEqual(faults);
  });

  it.each([
    [{ dnsPolicy: 'x' }, '"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"'],
    [{ containers: [{ ...container, terminationMessagePolicy: 'x' }] }, '"File", "FallbackToLogsOnError"'],
    [{ tolerations: [{ key: 'k', effect: 'x' }] }, '"NoSchedule", "PreferNoSchedule", "NoExecute"'],
    [{ tolerations: [{ key: 'k', operator: 'x' }] }, '"Equal", "Exists"'],
    [{ securityContext: { fsGroupChangePolicy: 'x' } }, '"Always", "OnRootMismatch"'],
    [{ os: { name: 'x' } }, '"linux", "windows"'],
  ])("name what there is for %j in upstream's order", (spec, names) => {
    expect(faultsOf(spec)).toEqual([expect.stringContaining(`Unsupported value: "x": supported values: ${names}`)]);
  });

  it.each([
    [
      { shareProcessNamespace: true, hostPID: true },
      'spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled',
    ],
    [{ dnsPolicy: 'None' }, 'spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None'],
    [
      { dnsConfig: { nameservers: ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'] } },
      'spec.dnsConfig.nameservers: Invalid value: []string{"1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"}: must not have more than 3 nameservers',
    ],
    [
      { hostAliases: [{ ip: 'x' }] },
      'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
    [{ schedulingGates: [{ name: 'a' }, { name: 'a' }] }, 'spec.schedulingGates[1]: Duplicate value: "a"'],
    [{ hostname: 'a.b' }, 'spec.hostname: Invalid value: "a.b": must not contain dots'],
  ])('refuse %j', (spec, fault) => {
    expect(faultsOf(spec)).toEqual([fault]);
  });

  it('let a pod that waits at a gate have no node when it is new', () => {
    const pod = podOf({ schedulingGates: [{ name: 'a' }], nodeName: 'n' });
    expect(podErrors(pod)).toEqual([]);
    expect(newPodErrors(pod)).toEqual([
      {
        field: 'spec.nodeName',
        reason: 'FieldValueForbidden',
        message: 'Forbidden: cannot be set until all schedulingGates have been cleared',
      },
    ]);
  });

  it('let ephemeral containers come later', () => {
    const pod = podOf({ ephemeralContainers: [{ name: 'e', image: 'i' }] });
    expect(podErrors(pod)).toEqual([]);
    expect(newPodErrors(pod)).toEqual([
      {
        field: 'spec.ephemeralContainers',
        reason: 'FieldValueForbidden',
        message: 'Forbidden: cannot be set on create',
      },
    ]);
  });

  // The words of kube-apiserver 1.32.
  it.each([
    [
      {
        ports: [{ containerPort: 80 }],
        resources: { limits: { cpu: '1' } },
        restartPolicy: 'Always',
        livenessProbe: {},
        readinessProbe: {},
        startupProbe: {},
        lifecycle: {},
      },
      ['ports', 'resources', 'restartPolicy', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'].map(
        (field) => `${field}: Forbidden: cannot be set for an Ephemeral Container`,
      ),
    ],
    [
      {
        targetContainerName: 'nobody',
        volumeMounts: [
          { name: 'v', mountPath: '/a', subPath: 'x' },
          { name: 'v', mountPath: '/b', subPathExpr: 'x' },
        ],
      },
      [
        'targetContainerName: Not found: "nobody"',
        'volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container',
        'volumeMounts[1].subPathExpr: Forbidden: cannot be set for an Ephemeral Container',
      ],
    ],
    [{ targetContainerName: 'e' }, ['targetContainerName: Not found: "e"']],
    [{ name: 'c' }, ['name: Duplicate value: "c"']],
    [{ targetContainerName: 'c', volumeMounts: [{ name: 'v', mountPath: '/a' }], stdin: true, tty: true }, []],
  ])('refuse %j of an ephemeral container', (fields, faults) => {
    const ephemeralContainers = [{ name: 'e', image: 'i', ...fields }];
    const volumes = [{ name: 'v', emptyDir: {} }];
    expect(faultsOf({ volumes, ephemeralContainers })).toEqual(
      faults.map((fault) => `spec.ephemeralContainers[0].${fault}`),
    );
  });

  it('let ephemeral containers stay as they came', () => {
    const added = (...images: string[]): ApiObject =>
      podOf({ ephemeralContainers: images.map((image, at) => ({ name: `e${at}`, image })) });
    const faults = (next: ApiObject, before: ApiObject): string[] =>
      ephemeralUpdateErrors(next, before).map(({ field, message }) => `${field}: ${message}`);
    expect(faults(added('i', 'j'), added('i'))).toEqual([]);
    expect(faults(added(), added('i'))).toEqual([
      'spec.ephemeralContainers: Forbidden: existing ephemeral containers "e0" may not be removed\n',
    ]);
    expect(faults(added('j:1'), added('i:1'))).toEqual([
      'spec.ephemeralContainers: Forbidden: existing ephemeral containers "e0" may not be changed\n changed: image',
    ]);
    const mirror = { ...podOf({}), metadata: { name: 'p', annotations: { 'kubernetes.io/config.mirror': 'a' } } };
    expect(faults(added('i'), mirror)).toEqual(['[]: Forbidden: static pods do not support ephemeral containers']);
  });

  it('look at each item of a list a bounded number of times, and tell the first hundred faults', () => {
    // Pairs of them would take minutes.
    const many = <T>(make: (at: number) => T): T[] => Array.from({ length: 40_000 }, (_, at) => make(at));
    const pod = podOf({
      containers: [
        {
          name: 'c',
          image: 'i',
          volumeMounts: many((at) => ({ name: `v${at}`, mountPath: `/v${at}` })),
          volumeDevices: many((at) => ({ name: `d${at}`, devicePath: `/d${at}` })),
        },
      ],
      topologySpreadConstraints: many((at) => ({ topologyKey: `k${at}`, matchLabelKeys: ['a'], labelSelector: {} })),
      affinity: {
        podAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            {
              topologyKey: 'k',
              labelSelector: { matchExpressions: many((at) => ({ key: `m${at}`, operator: 'Exists' })) },
              matchLabelKeys: many((at) => `m${at}`),
              mismatchLabelKeys: many((at) => `n${at}`),
            },
          ],
        },
      },
    });
    const errors = podErrors(pod);
    expect(errors.length).toBeGreaterThan(100_000);
    const { details, message } = invalid({ group: '', kind: 'Pod' }, 'p', errors);
    expect(details.causes).toHaveLength(100);
    expect(message.endsWith(`, and ${errors.length - 100} more]`)).toBe(true);
    const added = podOf({ ephemeralContainers: many((at) => ({ name: `e${at}`, image: 'i' })) });
    expect(ephemeralUpdateErrors(added, added)).toEqual([]);
  });

  it('fill in what is left open', () => {
    const { spec } = podOf({
      hostNetwork: true,
      volumes: [
        { name: 'v' },
        { name: 'h', hostPath: { path: '/x' } },
        { name: 't', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } },
        { name: 'd', downwardAPI: { items: [{ path: 'a', fieldRef: { fieldPath: 'metadata.name' } }] } },
      ],
      containers: [{ ...container, ports: [{ containerPort: 80 }], resources: { limits: { cpu: '1' } } }],
    });
    expect(spec).toMatchObject({
      dnsPolicy: 'ClusterFirst',
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      volumes: [
        { emptyDir: {} },
        { hostPath: { path: '/x', type: '' } },
        { projected: { defaultMode: 0o644, sources: [{ serviceAccountToken: { expirationSeconds: 3600 } }] } },
        { downwardAPI: { items: [{ fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } }] } },
      ],
      containers: [
        {
          imagePullPolicy: 'Always',
          terminationMessagePolicy: 'File',
          ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }],
          resources: { requests: { cpu: '1' } },
        },
      ],
    });
  });

  it('let a pod keep its spec but for a few fields', () => {
    const before = podOf({ activeDeadlineSeconds: 9, tolerations: [{ key: 'a', operator: 'Exists' }] });
    const faults = (spec: object): string[] =>
      podUpdateErrors(
        podOf({ activeDeadlineSeconds: 9, tolerations: [{ key: 'a', operator: 'Exists' }], ...spec }),
        before,
      ).map(({ field, message }) => `${field}: ${message.split('\n')[0]}`);
    expect(faults({ containers: [{ ...container, image: 'j' }], activeDeadlineSeconds: 3 })).toEqual([]);
    // Whoever sends it back may have the fields in another order, and may leave out what is empty.
    const added = { operator: 'Exists', key: 'b', tolerationSeconds: 3 };
    const same = { operator: 'Exists', effect: '', tolerationSeconds: 9, key: 'a' };
    expect(faults({ tolerations: [added, same] })).toEqual([]);
    expect(faults({ activeDeadlineSeconds: 10 })).toEqual([
      'spec.activeDeadlineSeconds: Invalid value: 10: must be less than or equal to previous value',
    ]);
    expect(faults({ tolerations: [] })).toEqual([
      'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
    ]);
    expect(faults({ containers: [container, { name: 'd', image: 'i' }] })).toEqual([
      'spec.containers: Forbidden: pod updates may not add or remove containers',
    ]);
    expect(faults({ hostPID: true })).toEqual([
      expect.stringMatching(/^spec: Forbidden: pod updates may not change fields other than `spec.containers/),
    ]);
  });

  it('let a pod that waits at a gate take fewer nodes, not others', () => {
    const required = 'requiredDuringSchedulingIgnoredDuringExecution';
    const gated = (keys: readonly string[], spec: object = {}): ApiObject => {
      const matchExpressions = keys.map((key) => ({ key, operator: 'Exists' }));
      const affinity = { nodeAffinity: { [required]: { nodeSelectorTerms: [{ matchExpressions }] } } };
      return podOf({ schedulingGates: [{ name: 'g' }], nodeSelector: { a: 'b' }, affinity, ...spec });
    };
    const faults = (next: ApiObject): string[] =>
      podUpdateErrors(next, gated(['k'])).map(({ field, message }) => `${field}: ${message.split('\n')[0]}`);
    expect(faults(gated(['k', 'l'], { nodeSelector: { a: 'b', c: 'd' }, schedulingGates: [] }))).toEqual([]);
    expect(faults(gated(['k'], { nodeSelector: { a: 'c' } }))).toEqual([
      'spec.nodeSelector: Invalid value: map[string]string{"a":"c"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)',
    ]);
    expect(faults(gated(['l', 'k']))).toEqual([expect.stringMatching(/only additions are allowed \(no mutations/)]);
    expect(faults(gated(['k'], { affinity: {} }))).toEqual([
      expect.stringMatching(/no additions\/deletions to non-empty NodeSelectorTerms list are allowed$/),
    ]);
    expect(faults(gated(['k'], { schedulingGates: [{ name: 'h' }] }))).toEqual([
      "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'h'",
    ]);
    const once = podOf({});
    expect(podUpdateErrors(podOf({ nodeSelector: { a: 'b' } }), once)).toHaveLength(1);
  });

  it('let a mirror be one, and no other pod become one', () => {
    const mark = 'kubernetes.io/config.mirror';
    const bearing = (annotations: Record<string, string>): ApiObject => {
      const pod = podOf({});
      return { ...pod, metadata: { ...pod.metadata, annotations } };
    };
    const faults = (next: ApiObject, before: ApiObject): string[] =>
      mirrorUpdateErrors(next, before).map(({ field, message }) => `${field}: ${message}`);
    const mirror = bearing({ [mark]: 'a' });
    expect(faults(bearing({ [mark]: 'a', more: 'b' }), mirror)).toEqual([]);
    for (const next of [bearing({ [mark]: 'b' }), bearing({})]) {
      expect(faults(next, mirror)).toEqual([
        `metadata.annotations[${mark}]: Forbidden: may not remove or update mirror pod annotation`,
      ]);
    }
    expect(faults(mirror, bearing({}))).toEqual([
      `metadata.annotations[${mark}]: Forbidden: may not add mirror pod annotation`,
    ]);
  });

  it('want a node for a mirror', () => {
    const pod = podOf({});
    const metadata = { ...pod.metadata, annotations: { 'kubernetes.io/config.mirror': 'a' } };
    expect(podErrors({ ...pod, metadata })).toEqual([
      {
        field: 'metadata.annotations[kubernetes.io/config.mirror]',
        reason: 'FieldValueInvalid',
        message: 'Invalid value: "a": must set spec.nodeName if mirror pod annotation is set',
      },
    ]);
    expect(podErrors({ ...podOf({ nodeName: 'n' }), metadata })).toEqual([]);
  });

  it('let a node have each taint once', () => {
    const taint = { key: 'k', effect: 'NoSchedule' };
    expect(taintErrors([taint, taint, { key: 'k', effect: 'x' }]).map(({ reason }) => reason)).toEqual([
      'FieldValueDuplicate',
      'FieldValueNotSupported',
    ]);
  });
});

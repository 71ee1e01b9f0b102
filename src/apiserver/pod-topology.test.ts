import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Affinity, Container, Node, Pod, TopologySpreadConstraint } from '../kubeapi/index.ts';
import { appealOf, misfitOf } from './node-fit.ts';
import { type HostPort, hostPortsOf, requestsOf } from './pod-demand.ts';
import { PodPlacements } from './pod-placements.ts';
import { type TopologyView, topologyRules } from './pod-topology.ts';

interface PodFacts {
  readonly labels?: Readonly<Record<string, string>>;
  readonly namespace?: string;
  readonly spec?: Partial<Pod['spec']>;
}

let made = 0;

function podOf({ labels = {}, namespace = 'default', spec = {} }: PodFacts = {}): Pod {
  made += 1;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `p${made}`, namespace, labels },
    spec: { containers: [{ name: 'c' }], ...spec },
  };
}

function nodeOf(name: string, more: { labels?: Record<string, string>; spec?: object; status?: object } = {}): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { host: name, ...more.labels } },
    spec: { ...more.spec },
    status: { conditions: [{ type: 'Ready', status: 'True' }], ...more.status },
  };
}

/** Pods on nodes of two zones. */
class World {
  readonly placements = new PodPlacements();
  readonly nodes: readonly Node[];

  constructor(nodes: readonly Node[] = zoned) {
    this.nodes = nodes;
  }

  put(node: string, facts: PodFacts = {}): Pod {
    const pod = podOf(facts);
    this.placements.place(pod.metadata.name, pod, node);
    return pod;
  }

  /** What keeps a pod from each node; `''` where nothing does. */
  reasonsFor(pod: Pod): string[] {
    const view: TopologyView = {
      placements: this.placements,
      nodes: () => this.nodes,
      nodeNamed: (name) => this.nodes.find(({ metadata }) => metadata.name === name),
      namespaceLabels: (name) => ({ team: name }),
    };
    const rule = topologyRules(pod, view);
    return this.nodes.map((node) => rule(node)?.reasons.join() ?? '');
  }
}

const zoned = [
  nodeOf('a1', { labels: { zone: 'a' } }),
  nodeOf('a2', { labels: { zone: 'a' } }),
  nodeOf('b1', { labels: { zone: 'b' } }),
  nodeOf('nowhere'),
];

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const web = { app: 'web' };
const term = { topologyKey: 'zone', labelSelector: { matchLabels: web } };
const beside = (more: object = {}): Affinity => ({ podAffinity: { [REQUIRED]: [{ ...term, ...more }] } });
const apart = (more: object = {}): Affinity => ({ podAntiAffinity: { [REQUIRED]: [{ ...term, ...more }] } });

const AFFINITY = "node(s) didn't match pod affinity rules";
const ANTI = "node(s) didn't match pod anti-affinity rules";
const EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules";
const SPREAD = "node(s) didn't match pod topology spread constraints";

describe('affinity to pods', () => {
  it('wants one of them in the same domain', () => {
    const world = new World();
    const pod = podOf({ spec: { affinity: beside() } });
    expect(world.reasonsFor(pod)).toEqual([AFFINITY, AFFINITY, AFFINITY, AFFINITY]);
    world.put('a1', { labels: web });
    expect(world.reasonsFor(pod)).toEqual(['', '', AFFINITY, AFFINITY]);
  });

  it('lets the first of pods that want to be together go anywhere where the domain is known', () => {
    const world = new World();
    const first = podOf({ labels: web, spec: { affinity: beside() } });
    expect(world.reasonsFor(first)).toEqual(['', '', '', AFFINITY]);
    world.put('b1', { labels: web });
    expect(world.reasonsFor(first)).toEqual([AFFINITY, AFFINITY, '', AFFINITY]);
  });

  it('is about the pod’s own namespace, those that it names, or those that it selects', () => {
    const world = new World();
    world.put('a1', { labels: web, namespace: 'shop' });
    const reasons = (more: object): string | undefined =>
      world.reasonsFor(podOf({ spec: { affinity: beside(more) } }))[0];
    expect(reasons({})).toBe(AFFINITY);
    expect(reasons({ namespaces: ['shop'] })).toBe('');
    expect(reasons({ namespaceSelector: {} })).toBe('');
    expect(reasons({ namespaceSelector: { matchLabels: { team: 'shop' } } })).toBe('');
    expect(reasons({ namespaceSelector: { matchLabels: { team: 'other' } } })).toBe(AFFINITY);
    expect(reasons({ namespaces: ['shop'], labelSelector: undefined })).toBe(AFFINITY);
  });
});

describe('anti-affinity to pods', () => {
  it('keeps a pod from domains where one of them is', () => {
    const world = new World();
    world.put('a1', { labels: web });
    world.put('nowhere', { labels: web });
    expect(world.reasonsFor(podOf({ spec: { affinity: apart() } }))).toEqual([ANTI, ANTI, '', '']);
  });

  it('keeps others from a pod that has it, also those without any', () => {
    const world = new World();
    const loner = world.put('a1', { spec: { affinity: apart({ topologyKey: 'host' }) } });
    expect(world.reasonsFor(podOf({ labels: web }))).toEqual([EXISTING, '', '', '']);
    expect(world.reasonsFor(podOf())).toEqual(['', '', '', '']);
    world.placements.place(loner.metadata.name, undefined, '');
    expect(world.reasonsFor(podOf({ labels: web }))).toEqual(['', '', '', '']);
  });
});

describe('topology spread', () => {
  const spread = (more: Partial<TopologySpreadConstraint> = {}): PodFacts => ({
    labels: web,
    spec: {
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'zone',
          whenUnsatisfiable: 'DoNotSchedule',
          labelSelector: { matchLabels: web },
          ...more,
        },
      ],
    },
  });
  const MISSING = `${SPREAD} (missing required label)`;

  it('lets no domain have more than the skew above the least', () => {
    const world = new World();
    expect(world.reasonsFor(podOf(spread()))).toEqual(['', '', '', MISSING]);
    world.put('a1', spread());
    expect(world.reasonsFor(podOf(spread()))).toEqual([SPREAD, SPREAD, '', MISSING]);
    expect(world.reasonsFor(podOf(spread({ maxSkew: 2 })))).toEqual(['', '', '', MISSING]);
    expect(world.reasonsFor(podOf(spread({ whenUnsatisfiable: 'ScheduleAnyway' })))).toEqual(['', '', '', '']);
    world.put('b1', spread());
    expect(world.reasonsFor(podOf(spread()))).toEqual(['', '', '', MISSING]);
  });

  it('counts from nothing while there are too few domains, and only nodes that the pod may go to', () => {
    const world = new World();
    for (const node of ['a1', 'b1']) world.put(node, spread());
    expect(world.reasonsFor(podOf(spread({ minDomains: 3 })))).toEqual([SPREAD, SPREAD, SPREAD, MISSING]);
    world.put('a1', spread());
    const { labels, spec } = spread();
    const choosy = podOf({ labels: { ...labels }, spec: { ...spec, nodeSelector: { zone: 'a' } } });
    expect(world.reasonsFor(choosy).slice(0, 2)).toEqual(['', '']);
  });

  it('counts pods of the same revision alone, where it is told to, and none that are going', () => {
    const world = new World();
    const revised = (revision: string): PodFacts => ({
      ...spread({ matchLabelKeys: ['rev'] }),
      labels: { ...web, rev: revision },
    });
    world.put('a1', revised('1'));
    expect(world.reasonsFor(podOf(revised('2')))[0]).toBe('');
    expect(world.reasonsFor(podOf(revised('1')))[0]).toBe(SPREAD);
    const going = podOf(revised('2'));
    const metadata = { ...going.metadata, deletionTimestamp: '2026-11-26T00:00:00Z' };
    world.placements.place('going', { ...going, metadata }, 'a2');
    expect(world.reasonsFor(podOf(revised('2')))[0]).toBe('');
  });
});

describe('the nodes that a constraint looks at', () => {
  const honouring = (more: Partial<Pod['spec']> = {}): Pod =>
    podOf({
      labels: web,
      spec: {
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'zone',
            whenUnsatisfiable: 'DoNotSchedule',
            labelSelector: { matchLabels: web },
            nodeTaintsPolicy: 'Honor',
          },
        ],
        ...more,
      },
    });
  const [a1] = zoned;
  const tolerant = { tolerations: [{ operator: 'Exists' as const }] };
  const inZoneA = (b1: Node, more: Partial<Pod['spec']> = {}): string | undefined => {
    const world = new World(a1 === undefined ? [] : [a1, b1]);
    world.put('a1', { labels: web });
    return world.reasonsFor(honouring(more))[0];
  };
  const b = { labels: { zone: 'b' } };

  it.each<[string, { readonly spec?: object; readonly status?: object }]>([
    ['has a taint', { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } }],
    ['drives pods away', { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } }],
    ['is cordoned', { spec: { unschedulable: true } }],
    ['is not ready', { status: { conditions: [{ type: 'Ready', status: 'False' }] } }],
    ['is silent', { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } }],
    ['has said nothing yet', { status: { conditions: [] } }],
  ])('leave out one that %s, unless the pod tolerates it', (_, more) => {
    const b1 = nodeOf('b1', { ...b, ...more });
    // Without it there is one domain alone, which is the least filled too.
    expect(inZoneA(b1)).toBe('');
    expect(inZoneA(b1, tolerant)).toBe(SPREAD);
  });

  it('are also those that would rather have others', () => {
    const spec = { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] };
    expect(inZoneA(nodeOf('b1', { ...b, spec }))).toBe(SPREAD);
  });
});

describe('a node by its state', () => {
  const reasonOf = (node: Node, spec: Partial<Pod['spec']> = {}): string | undefined =>
    misfitOf(podOf({ spec }), node, new PodPlacements().usageOf('n'))?.reasons.join();
  const cordoned = nodeOf('n', { spec: { unschedulable: true } });
  const inState = (type: string, status: string): Node =>
    nodeOf('n', {
      status: {
        conditions: [
          { type, status },
          { type: 'Ready', status: 'True' },
        ],
      },
    });

  it.each([
    [cordoned, 'node(s) were unschedulable'],
    [inState('Ready', 'False'), 'node(s) had untolerated taint {node.kubernetes.io/not-ready: }'],
    [inState('Ready', 'Unknown'), 'node(s) had untolerated taint {node.kubernetes.io/unreachable: }'],
    [inState('DiskPressure', 'True'), 'node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }'],
    [inState('MemoryPressure', 'True'), 'node(s) had untolerated taint {node.kubernetes.io/memory-pressure: }'],
  ])('takes the pods that tolerate it', (node, reason) => {
    expect(reasonOf(node)).toBe(reason);
    expect(reasonOf(node, { tolerations: [{ operator: 'Exists' }] })).toBeUndefined();
    // What a pod tolerates for a while once it runs there is not yet a reason to begin.
    expect(reasonOf(node, { tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] })).toBe(reason);
  });

  it('is fit for all when it says that nothing is wrong', () => {
    expect(reasonOf(inState('DiskPressure', 'False'))).toBeUndefined();
    expect(reasonOf(inState('DiskPressure', 'Unknown'))).toBeUndefined();
  });
});

describe('the room of a node', () => {
  const asking = (requests: Record<string, string>, more: Partial<Pod['spec']> = {}): Pod =>
    podOf({ spec: { containers: [{ name: 'c', resources: { requests } }], ...more } });
  const node = nodeOf('n', { status: { allocatable: { cpu: '1', memory: '1Gi', pods: '3' } } });
  const reasonsWith = (pods: readonly Pod[], pod: Pod): readonly string[] => {
    const placements = new PodPlacements();
    for (const one of pods) placements.place(one.metadata.name, one, 'n');
    return misfitOf(pod, node, placements.usageOf('n'))?.reasons ?? [];
  };

  it('is what its pods leave, by name', () => {
    const large = asking({ cpu: '600m', memory: '600Mi' });
    expect(reasonsWith([], large)).toEqual([]);
    expect(reasonsWith([large], large)).toEqual(['Insufficient cpu', 'Insufficient memory']);
    expect(reasonsWith([large], asking({ cpu: '0.4' }))).toEqual([]);
    expect(reasonsWith([], asking({ 'example.com/gpu': '1' }))).toEqual(['Insufficient example.com/gpu']);
    expect(reasonsWith([large, podOf(), podOf()], large)).toEqual([
      'Too many pods',
      'Insufficient cpu',
      'Insufficient memory',
    ]);
  });

  it('is for the peak of a pod: init containers come one after the other, sidecars stay', () => {
    const cpu = (amount: string, more: Partial<Container> = {}): Container => ({
      name: 'c',
      resources: { requests: { cpu: amount } },
      ...more,
    });
    const sidecar = cpu('100m', { restartPolicy: 'Always' });
    const peakOf = (initContainers: readonly Container[]): bigint | undefined =>
      requestsOf(podOf({ spec: { containers: [cpu('200m'), cpu('100m')], initContainers } })).get('cpu');
    expect(peakOf([])).toBe(300n);
    expect(peakOf([cpu('250m'), cpu('400m')])).toBe(400n);
    expect(peakOf([sidecar, cpu('350m')])).toBe(450n);
    expect(peakOf([cpu('350m'), sidecar])).toBe(400n);
  });

  it('is given back by a pod that goes', () => {
    const placements = new PodPlacements();
    const pods = [asking({ cpu: '0.1' }), asking({ cpu: '0.2' }), podOf()];
    for (const pod of pods) placements.place(pod.metadata.name, pod, 'n');
    expect(placements.usageOf('n')).toMatchObject({ podCount: 3, requested: new Map([['cpu', 300n]]) });
    for (const pod of pods) placements.place(pod.metadata.name, undefined, '');
    expect(placements.usageOf('n').podCount).toBe(0);
  });

  it('is an int64 of each amount, however large, and never loses a piece', () => {
    const bytes = nodeOf('n', { status: { allocatable: { memory: '9007199254740993' } } });
    const reasonsOn = (node: Node, before: readonly string[], memory: string): readonly string[] => {
      const placements = new PodPlacements();
      for (const [at, amount] of before.entries()) placements.place(`${at}`, asking({ memory: amount }), 'n');
      return misfitOf(asking({ memory }), node, placements.usageOf('n'))?.reasons ?? [];
    };
    expect(reasonsOn(bytes, ['9007199254740992'], '1')).toEqual([]);
    expect(reasonsOn(bytes, ['9007199254740992'], '2')).toEqual(['Insufficient memory']);
    for (const huge of ['9E', '8Ei', '1e306', '1e999']) {
      expect(reasonsOn(bytes, [], huge), huge).toEqual(['Insufficient memory']);
      expect(reasonsOn(nodeOf('n', { status: { allocatable: { memory: huge } } }), [], huge), huge).toEqual([]);
      const placements = new PodPlacements();
      placements.place('small', asking({ memory: '1', cpu: '1m' }), 'n');
      placements.place('huge', asking({ memory: huge, cpu: huge }), 'n');
      placements.place('huge', undefined, '');
      const left = new Map([
        ['memory', 1n],
        ['cpu', 1n],
      ]);
      expect(placements.usageOf('n').requested, huge).toEqual(left);
    }
  });

  it('is told by nobody who says no amount', () => {
    const node = nodeOf('n', { status: { allocatable: { memory: 'much' } } });
    expect(misfitOf(asking({ memory: '1' }), node, new PodPlacements().usageOf('n'))?.reasons).toEqual([
      'Insufficient memory',
    ]);
    expect(misfitOf(podOf(), node, new PodPlacements().usageOf('n'))).toBeUndefined();
  });

  it('is always what the pods that are placed take together', () => {
    const amount = fc.constantFrom('0', '1m', '0.1', '1', '1Gi', '9007199254740993', '9E', '8Ei', '1e306');
    const requests = fc.dictionary(fc.constantFrom('cpu', 'memory', 'example.com/gpu'), amount);
    const ports = fc.subarray([80, 81, 82]);
    const pod = fc.record({ requests, ports }).map((facts) =>
      podOf({
        spec: {
          containers: [
            {
              name: 'c',
              resources: { requests: facts.requests },
              ports: facts.ports.map((hostPort) => ({ containerPort: 1, hostPort })),
            },
          ],
        },
      }),
    );
    const step = fc.record({
      key: fc.constantFrom('p', 'q', 'r', 's'),
      pod: fc.option(pod, { nil: undefined }),
      node: fc.constantFrom('', 'm', 'n'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const placements = new PodPlacements();
        const placed = new Map<string, { pod: Pod; node: string }>();
        for (const { key, pod: one, node: at } of steps) {
          placements.place(key, one, at);
          if (one === undefined || at === '') placed.delete(key);
          else placed.set(key, { pod: one, node: at });
        }
        for (const at of ['m', 'n']) {
          const there = [...placed.values()].filter((one) => one.node === at).map((one) => one.pod);
          const sums = new Map<string, bigint>();
          for (const one of there) {
            for (const [name, more] of requestsOf(one)) sums.set(name, (sums.get(name) ?? 0n) + more);
          }
          const { podCount, requested, ports: taken } = placements.usageOf(at);
          expect(podCount).toBe(there.length);
          expect(requested).toEqual(new Map([...sums].filter(([, sum]) => sum > 0n)));
          const portsOf = (all: readonly HostPort[]): string[] => all.map(({ port }) => `${port}`).sort();
          expect(portsOf(taken)).toEqual(portsOf(there.flatMap(hostPortsOf)));
        }
        expect([...placements.values()]).toHaveLength(placed.size);
      }),
    );
  });

  it('has each port of the host once', () => {
    const onPort = (hostPort: number, hostIP = ''): Pod =>
      podOf({ spec: { containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort, hostIP }] }] } });
    const taken = ["node(s) didn't have free ports for the requested pod ports"];
    expect(reasonsWith([onPort(80)], onPort(80))).toEqual(taken);
    expect(reasonsWith([onPort(80, '10.0.0.1')], onPort(80))).toEqual(taken);
    expect(reasonsWith([onPort(80, '10.0.0.1')], onPort(80, '10.0.0.2'))).toEqual([]);
    expect(reasonsWith([onPort(80)], onPort(81))).toEqual([]);
  });
});

it('a pod’s wishes about nodes are weighed', () => {
  const matchExpressions = [{ key: 'zone', operator: 'In' as const, values: ['a'] }];
  const affinity: Affinity = {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 5, preference: { matchExpressions } },
        { weight: 7, preference: { matchExpressions: [{ key: 'zone', operator: 'Exists' }] } },
      ],
    },
  };
  const pod = podOf({ spec: { affinity } });
  expect(zoned.map((node) => appealOf(pod, node).weight)).toEqual([12, 12, 7, 0]);
  const taints = [{ key: 'k', effect: 'PreferNoSchedule' }];
  expect(appealOf(pod, nodeOf('t', { spec: { taints } })).taints).toBe(1);
});

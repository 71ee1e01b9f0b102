import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { describeWithPeer } from '../../support/peer.ts';
import { ThreeHosts } from './hosts.ts';

// What deploy/README.md tells people to type, typed on three machines, in the order of the page. Needs `npm run build`.

const peers = ['systemd', 'sshd', 'network-namespaces', 'containerd', 'kubectl', 'crictl'] as const;
const patience = { timeout: 60_000, interval: 250 };

// Dozens of programs in each, also where the machine is busy.
vi.setConfig({ testTimeout: 240_000 });

describeWithPeer(peers, 'three hosts without a control plane, by the page', () => {
  let hosts: ThreeHosts;
  beforeAll(async () => {
    hosts = await ThreeHosts.boot();
  });
  afterAll(async () => {
    await hosts?.[Symbol.asyncDispose]();
  });

  /** A line on host1, whatever comes of it. */
  const typed = async (line: string): Promise<{ exitCode: number | null; stdout: string; stderr: string }> => {
    const { exitCode, stdout, stderr } = await hosts.run('host1', line);
    return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
  };
  const text = async (line: string): Promise<string> => (await typed(line)).stdout.trim();
  const readyOf = (node: string): Promise<string> =>
    text(`kubectl get node ${node} -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'`);

  it('1. podwire is installed from its package', async () => {
    await hosts.follow('1. podwire');
    for (const name of ['host1', 'host2', 'host3'] as const) {
      expect(await hosts.must(name, 'podwire version')).toMatch(/^podwire \d+\.\d+\.\d+\n$/);
    }
  });

  it('2. certificates are made and handed out, for nobody else to read', async () => {
    const [made] = await hosts.follow('2. Certificates');
    expect(made?.['host1']?.match(/ good$/gm)).toHaveLength(10);
    const modes = await hosts.must('host2', 'stat --format "%a %U %n" /etc/podwire/node /etc/podwire/node/*.key');
    expect(modes).toMatch(/^700 root \/etc\/podwire\/node\n(?:600 root .*\.key\n){2}$/);
    const keys = await hosts.must('host1', 'stat --format "%a %U" /etc/podwire/apiserver/*.key');
    expect(keys).toBe('600 podwire\n'.repeat(2));
  });

  it('3. the apiserver runs, as a user that may nothing else', async () => {
    const [said] = await hosts.follow('3. The apiserver');
    expect(said?.['host1']).toMatch(/^Server Version: v1\./m);
    const user = await hosts.must('host1', 'ps -o user= -p $(systemctl show --value -P MainPID podwire-apiserver)');
    expect(user).toBe('podwire\n');
  });

  it('4. runtimes run, one of which came without CRI', async () => {
    const [, packaged, mended] = await hosts.follow('4. Runtimes', {
      'there is no line for cri': ['host3'],
      '/etc/cni/net.d is empty': ['host2', 'host3'],
    });
    const hasCri = /^io\.containerd\.grpc\.v1 +cri +linux\/\S+ +ok *$/m;
    expect(packaged?.['host2']).toMatch(hasCri);
    expect(packaged?.['host3']).not.toMatch(hasCri);
    expect(mended?.['host3']).toMatch(hasCri);
    const conditions = async (): Promise<unknown[]> => {
      const { host2 = '', host3 = '' } = await hosts.again('crictl');
      type Info = { status: { conditions: { type: string; status: boolean }[] } };
      return [host2, host3].map((info) => (JSON.parse(info) as Info).status.conditions);
    };
    const ready = expect.arrayContaining([
      expect.objectContaining({ type: 'RuntimeReady', status: true }),
      expect.objectContaining({ type: 'NetworkReady', status: true }),
    ]);
    await expect.poll(conditions, patience).toEqual([ready, ready]);
  });

  it('5. kubelets report three nodes, and a pod that ran before', async () => {
    for (const name of ['host2', 'host3'] as const) await hosts.importImages(name);
    using cri = hosts.cri('host2');
    await cri.runPod({ name: 'shop', image: 'docker.io/library/busybox:latest', command: ['sleep', 'infinity'] });
    const said = await hosts.follow('5. Kubelets');
    const table = said.at(-1)?.['host1'] ?? '';
    for (const [at, runtime] of ['podwire', 'containerd', 'containerd'].entries()) {
      expect(table).toMatch(new RegExp(`^host${at + 1} +Ready .* 192\\.0\\.2\\.1${at + 1} .* ${runtime}://`, 'm'));
    }
    await expect
      .poll(() => text('kubectl get pods -A -o wide'), patience)
      .toMatch(/^default +shop +1\/1 +Running .* 10\.88\.\S+ +host2 /m);
  });

  it('6. kubectl and podwire exec into a pod on each', async () => {
    const [said] = await hosts.follow('6. Into a pod on each');
    const { host1 = '' } = said ?? {};
    for (const at of [1, 2, 3])
      expect(host1).toMatch(new RegExp(`^default +web${at} +1/1 +Running .* host${at} `, 'm'));
    expect(host1).toMatch(/\nhost1\nhost1\nweb2\nweb2\nweb3\nweb3\n$/);
    expect(await text('kubectl exec shop -- hostname')).toBe('shop');
  });

  it('a pod that ran before stays what it is, whatever is done to its mirror', async () => {
    using cri = hosts.cri('host2');
    const [uid, sandboxes] = [await text("kubectl get pod shop -o 'jsonpath={.metadata.uid}'"), await cri.sandboxIds()];
    expect((await typed('kubectl delete pod shop')).stdout).toBe('pod "shop" deleted\n');
    const now = async (): Promise<string> =>
      text("kubectl get pod shop -o 'jsonpath={.metadata.uid} {.spec.containers[0].image} {.status.phase}'");
    const image = 'docker.io/library/busybox:latest';
    await expect.poll(now, patience).toMatch(new RegExp(`^(?!${uid})\\S+ ${image} Running$`));
    expect((await typed('kubectl set image pod/shop main=example.com/evil:1')).exitCode).toBe(0);
    await expect.poll(now, patience).toMatch(new RegExp(`^\\S+ ${image} Running$`));
    const unmarked = await typed('kubectl annotate pod shop kubernetes.io/config.mirror-');
    expect(unmarked.exitCode).toBe(1);
    expect(unmarked.stderr).toContain('Forbidden: may not remove or update mirror pod annotation');
    expect(await text('kubectl exec shop -- hostname')).toBe('shop');
    expect((await cri.sandboxIds()).sort()).toEqual(sandboxes.sort());
  });

  it('a host that is cut off is reported as its flags say, and comes back by itself', async () => {
    await hosts.cable('host3', 'down');
    await expect.poll(() => readyOf('host3'), patience).toBe('Unknown');
    const [seen = 0, marked = 0] = (
      await text(
        'kubectl get lease -n kube-node-lease host3 -o "jsonpath={.spec.renewTime} "; ' +
          'kubectl get node host3 -o \'jsonpath={.status.conditions[?(@.type=="Ready")].lastTransitionTime}\'',
      )
    )
      .split(' ')
      .map(Date.parse);
    // Times of an object are whole seconds; never earlier than the grace of 12 s.
    expect((marked - seen) / 1000).toBeGreaterThan(11);
    expect(await text('kubectl get nodes')).toMatch(/^host3 +NotReady /m);
    const podReady = `kubectl get pod web3 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'`;
    await expect.poll(() => text(podReady), patience).toBe('False');
    const silent = 'error dialing backend: node host3 is not ready since ';
    const real = await typed('kubectl exec web3 -- hostname');
    expect(real).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringContaining(silent) });
    const ours = await typed('podwire exec web3 -- hostname');
    expect(ours).toMatchObject({ exitCode: 125, stdout: '', stderr: expect.stringContaining(silent) });
    expect(ours.stderr).toMatch(/where: {3}\w+\n.*remedy: {2}/s);
    for (const pod of ['web2', 'shop']) expect(await text(`kubectl exec ${pod} -- hostname`)).toBe(pod);
    const meanwhile = '{"spec":{"nodeName":"host3","terminationGracePeriodSeconds":1}}';
    const run = `kubectl run later --image docker.io/library/busybox:latest --image-pull-policy IfNotPresent`;
    await hosts.must('host1', `${run} --overrides '${meanwhile}' --command -- sleep infinity`);
    await hosts.cable('host3', 'up');
    await expect.poll(() => readyOf('host3'), patience).toBe('True');
    await expect.poll(() => text('kubectl exec web3 -- hostname'), patience).toBe('web3');
    expect(await text('kubectl wait --for=condition=Ready pod/web3 pod/later --timeout 45s')).toBe(
      'pod/web3 condition met\npod/later condition met',
    );
    expect(await text('podwire exec later -- hostname')).toBe('later');
  });

  it('certificates are renewed and handed out again, and a session goes on', async () => {
    const [said] = await hosts.follow('Certificates end after a year');
    expect(said?.['host1']).toMatch(/^nothing is due: \S+ ends first, 20/);
    const serials = async (): Promise<string[]> =>
      Promise.all(
        ['192.0.2.11:6443', '192.0.2.12:10250', '192.0.2.13:10250'].map((server) =>
          text(`openssl s_client -connect ${server} </dev/null 2>/dev/null | openssl x509 -noout -serial`),
        ),
      );
    const before = await serials();
    const session = typed(
      'kubectl exec -i web2 -- sh -c "echo runs >/tmp/runs; cat" < <(while [ ! -e go ]; do sleep 0.1; done; echo on)',
    );
    await expect.poll(() => text('kubectl exec web2 -- cat /tmp/runs'), patience).toBe('runs');
    await hosts.must('host1', 'podwire certs renew --all');
    await hosts.again('install -m 600 users/admin/kubeconfig');
    const isNew = async (): Promise<boolean[]> =>
      (await serials()).map((serial, at) => serial !== '' && serial !== before[at]);
    await expect.poll(isNew, patience).toEqual([true, true, true]);
    await hosts.must('host1', 'touch go');
    expect(await session).toMatchObject({ exitCode: 0, stdout: 'on\n' });
    for (const pod of ['web2', 'web3']) expect(await text(`kubectl exec ${pod} -- hostname`)).toBe(pod);
  });

  it('a restart of every service loses neither pods nor objects', async () => {
    for (const [name, units] of [
      ['host1', 'podwire-apiserver podwire-runtime podwire-kubelet'],
      ['host2', 'podwire-kubelet containerd'],
    ] as const) {
      await hosts.must(name, `systemctl restart ${units}`);
    }
    for (const [pod, hostname] of [
      ['web1', 'host1'],
      ['web2', 'web2'],
      ['shop', 'shop'],
    ] as const) {
      await expect.poll(() => text(`kubectl exec ${pod} -- hostname`), patience).toBe(hostname);
      expect(await text(`kubectl get pod ${pod} -o 'jsonpath={.status.containerStatuses[0].restartCount}'`)).toBe('0');
    }
  });

  it('a host that is taken away is gone, and the others go on', async () => {
    await hosts.follow('A further host, one less');
    expect(await text('kubectl get nodes -o name')).toBe('node/host1\nnode/host2');
    expect(await text('kubectl get pods -A -o name')).toBe('pod/shop\npod/web1\npod/web2');
    expect(await text('kubectl exec web2 -- hostname')).toBe('web2');
  });

  it('every block of the page has been followed', () => {
    expect(hosts.blocks.filter((block) => !hosts.followed.has(block))).toEqual([]);
  });
});

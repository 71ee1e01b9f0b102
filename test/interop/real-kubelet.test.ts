import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeKubeconfig } from '../../src/kubeapi/index.ts';
import { loadOrCreateAuthority, writePair } from '../../src/pki/index.ts';
import { BackgroundChild } from '../support/child.ts';
import { Containerd } from '../support/containerd.ts';
import { TEST_IMAGE } from '../support/image.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import { PodwireHop } from '../support/podwire.ts';
import { RealKubelet } from '../support/real-kubelet.ts';

// kubectl → our apiserver → a real kubelet → containerd. Needs `npm run build`.

const NODE = 'real-node';

const manifest = (name: string, more: { readonly command?: readonly string[]; readonly spec?: object } = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 2,
      ...more.spec,
      containers: [
        {
          name: 'main',
          image: TEST_IMAGE,
          imagePullPolicy: 'IfNotPresent',
          command: more.command ?? ['sh', '-c', 'echo "I am $HOSTNAME"; exec httpd -f -p 8080 -h /www'],
        },
      ],
    },
  });

describeWithPeer(['kubelet', 'containerd', 'kubectl'], 'a real kubelet as a node of our apiserver', () => {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-real-kubelet-'));
  let containerd: Containerd;
  let apiserver: PodwireHop;
  let kubelet: RealKubelet;
  let kubectl: Kubectl;

  const outcomeOf = async (args: readonly string[], stdin = ''): Promise<string> => {
    const { stdout, stderr, exitCode } = await kubectl.run(args, { stdin: Buffer.from(stdin) });
    return `${stdout.toString()}${stderr.toString()}exit ${exitCode}`;
  };

  beforeAll(async () => {
    containerd = await Containerd.start();
    apiserver = await PodwireHop.start('apiserver', [
      `--cert-dir=${folder}`,
      '--secure-port=0',
      '--storage-backend=memory',
      `--kubelet-certificate-authority=${join(folder, 'ca', 'ca.crt')}`,
      '--kubelet-preferred-address-types=InternalIP',
    ]);
    const [, kubeconfig = ''] = /^kubeconfig (.*)$/m.exec(apiserver.log) ?? [];
    kubectl = await Kubectl.create({ kubeconfig });
    const { authority, certificateFile } = await loadOrCreateAuthority(join(folder, 'ca'), 'podwire-apiserver-ca');
    const user = { commonName: `system:node:${NODE}`, organizations: ['system:nodes'] };
    const client = await authority.issue({ ...user, usages: ['client'] });
    const nodeKubeconfig = join(folder, 'node.kubeconfig');
    await writeKubeconfig(nodeKubeconfig, {
      name: 'node',
      server: apiserver.address,
      certificateAuthority: authority.certificate,
      clientCertificate: client.certificate,
      clientKey: client.key,
    });
    kubelet = await RealKubelet.start({
      nodeName: NODE,
      kubeconfig: nodeKubeconfig,
      clientCaFile: certificateFile,
      serving: async (host) =>
        await writePair(folder, 'kubelet', await authority.issue({ ...user, hosts: [host], usages: ['server'] })),
      containerRuntimeEndpoint: containerd.endpoint,
    });
  }, 120_000);

  afterAll(async () => {
    kubectl?.[Symbol.dispose]();
    await kubelet?.[Symbol.asyncDispose]();
    await apiserver?.stop();
    await containerd?.dispose();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it('registers, becomes ready, and reports itself', { timeout: 60_000 }, async () => {
    await expect
      .poll(() => outcomeOf(['get', 'node', NODE, '-o', 'name']), { timeout: 30_000 })
      .toBe(`node/${NODE}\nexit 0`);
    await kubectl.must('wait', '--for=condition=Ready', `node/${NODE}`, '--timeout=40s');
    expect(await kubectl.must('get', 'node', NODE, '-o', 'wide', '--no-headers')).toMatch(
      new RegExp(`^${NODE} +Ready +<none> +\\d+s +v1\\.32\\.4 .*containerd://1\\.6`),
    );
    const lease = ['get', '-n', 'kube-node-lease', 'lease', NODE, '-o', 'jsonpath={.spec.holderIdentity}'];
    await expect.poll(() => outcomeOf(lease), { timeout: 20_000 }).toBe(`${NODE}exit 0`);
    // It is written by another part of the kubelet, at its own time.
    await expect
      .poll(() => outcomeOf(['get', 'csinode', NODE, '-o', 'name']), { timeout: 20_000 })
      .toBe(`csinode.storage.k8s.io/${NODE}\nexit 0`);
  });

  it('runs a pod that our scheduler gave it, for exec, logs, cp and port-forward', { timeout: 90_000 }, async () => {
    expect(await outcomeOf(['create', '-f', '-'], manifest('web'))).toBe('pod/web created\nexit 0');
    await kubectl.must('wait', '--for=condition=Ready', 'pod/web', '--timeout=60s');
    expect(await outcomeOf(['exec', 'web', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'])).toBe(
      'out\nerr\ncommand terminated with exit code 7\nexit 7',
    );
    expect(await outcomeOf(['exec', '-i', 'web', '--', 'cat'], 'typed\n')).toBe('typed\nexit 0');
    expect(await outcomeOf(['logs', 'web'])).toBe('I am web\nexit 0');
    writeFileSync(join(folder, 'file'), 'there and back\n');
    await kubectl.must('cp', join(folder, 'file'), 'web:/tmp/file');
    expect(await outcomeOf(['exec', 'web', '--', 'cat', '/tmp/file'])).toBe('there and back\nexit 0');
    expect(await outcomeOf(['exec', 'web', '-c', 'none', '--', 'true'])).toContain(
      'container none is not valid for pod web',
    );
    const { argv, env } = kubectl.commandLine('port-forward', '--address', '127.0.0.1', 'pod/web', ':8080');
    await using forwarding = new BackgroundChild(argv[0] ?? '', argv.slice(1), { env });
    const [, port] = await forwarding.waitForLog(/Forwarding from 127\.0\.0\.1:(\d+)/);
    const answer = await fetch(`http://127.0.0.1:${port}/index.html`);
    expect([answer.status, await answer.text()]).toEqual([200, 'podwire\n']);
  });

  it('runs ephemeral containers that our apiserver takes', { timeout: 90_000 }, async () => {
    const debug = (container: string, ...more: string[]): Promise<string> => {
      const flags = [`--image=${TEST_IMAGE}`, '--image-pull-policy=IfNotPresent', '--profile=general'];
      return outcomeOf(['debug', 'web', '-c', container, ...flags, ...more]);
    };
    const stateOf = (container: string, path: string): Promise<string> => {
      const status = `.status.ephemeralContainerStatuses[?(@.name=="${container}")]`;
      return kubectl.must('get', 'pod', 'web', '-o', `jsonpath={${status}${path}}`);
    };
    const look = 'tr "\\0" " " </proc/1/cmdline; echo; exit 3';
    expect(await debug('targeting', '--target=main', '--', 'sh', '-c', look)).toContain('exit 0');
    await expect.poll(() => stateOf('targeting', '.state.terminated.exitCode'), { timeout: 40_000 }).toBe('3');
    expect(await outcomeOf(['logs', 'web', '-c', 'targeting'])).toBe('httpd -f -p 8080 -h /www \nexit 0');
    expect(await debug('echoing', '--stdin', '--attach=false', '--', 'cat')).toBe('exit 0');
    await expect.poll(() => stateOf('echoing', '.state.running.startedAt'), { timeout: 40_000 }).not.toBe('');
    expect(await outcomeOf(['exec', 'web', '-c', 'echoing', '--', 'echo', 'in'])).toBe('in\nexit 0');
    expect(await stateOf('echoing', '.ready')).toBe('false');
    expect(await debug('targeting', '--', 'true')).toContain(
      'existing ephemeral containers "targeting" may not be changed',
    );
    expect(await kubectl.must('get', 'pod', 'web', '--no-headers')).toMatch(/^web +1\/1 +Running +0 /);
  });

  it('says how pods are, why they wait, and lets them go', { timeout: 90_000 }, async () => {
    await expect
      .poll(() => outcomeOf(['get', 'events', '--field-selector=involvedObject.name=web']))
      .toMatch(/Started +pod\/web +Started container/i);
    expect(
      await outcomeOf(
        ['create', '-f', '-'],
        manifest('ends', { command: ['sh', '-c', 'exit 3'], spec: { restartPolicy: 'Never' } }),
      ),
    ).toBe('pod/ends created\nexit 0');
    const phase = [
      'get',
      'pod',
      'ends',
      '-o',
      'jsonpath={.status.phase} {.status.containerStatuses[0].state.terminated.exitCode}',
    ];
    await expect.poll(() => outcomeOf(phase), { timeout: 30_000 }).toBe('Failed 3exit 0');
    expect(await outcomeOf(['delete', 'pod', 'web', 'ends', '--timeout=40s'])).toBe(
      'pod "web" deleted\npod "ends" deleted\nexit 0',
    );
  });

  it('mirrors its static pods, for exec into them', { timeout: 90_000 }, async () => {
    writeFileSync(join(kubelet.manifests, 'static.json'), manifest('static'));
    const pod = `static-${NODE}`;
    await expect.poll(() => outcomeOf(['get', 'pod', pod, '--no-headers']), { timeout: 60_000 }).toContain('Running');
    expect(await outcomeOf(['exec', pod, '--', 'echo', 'hello'])).toBe('hello\nexit 0');
    rmSync(join(kubelet.manifests, 'static.json'));
    await kubectl.must('wait', '--for=delete', `pod/${pod}`, '--timeout=60s');
  });

  it('lives with what our apiserver does not have', () => {
    expect(kubelet.log).not.toMatch(/^F\d{4} /m);
    // It writes protobuf, all of which must be read.
    expect(kubelet.log).not.toMatch(/unknown format|is not protobuf|cannot be handled as/);
  });
});

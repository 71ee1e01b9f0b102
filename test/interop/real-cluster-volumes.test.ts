import { afterAll, beforeAll, expect, it } from 'vitest';
import { NODE_NAME } from '../../src/cluster/index.ts';
import { describeWithPeer } from '../support/peer.ts';
import { podManifest, type RealCluster, startRealCluster } from './real-cluster.ts';

// What a real cluster gives its pods by files and variables, on our kubelet before containerd. Needs `npm run build`.

const MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

describeWithPeer(
  ['kube-apiserver', 'etcd', 'kubectl', 'containerd'],
  'a pod of a real kube-apiserver on our kubelet',
  () => {
    let cluster: RealCluster;

    const create = async (manifest: object | string): Promise<void> => {
      const text = typeof manifest === 'string' ? manifest : JSON.stringify({ apiVersion: 'v1', ...manifest });
      const { exitCode, stderr } = await cluster.admin.run(['create', '-f', '-'], { stdin: Buffer.from(text) });
      expect(`${stderr.toString()}${exitCode}`).toBe('0');
    };
    const ready = (pod: string): Promise<string> =>
      cluster.admin.must('wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=60s');
    const shell = (pod: string, script: string): Promise<string> =>
      cluster.admin.must('exec', pod, '--', 'sh', '-c', script);

    beforeAll(async () => {
      cluster = await startRealCluster('containerd');
    }, 180_000);

    afterAll(() => cluster?.[Symbol.asyncDispose](), 60_000);

    it('has the token of its account, which the apiserver knows as that of the pod', { timeout: 60_000 }, async () => {
      await create(podManifest('clerk', cluster.image));
      await ready('clerk');
      expect(await shell('clerk', `cd ${MOUNT}; ls; cat namespace; cat ca.crt`)).toBe(
        `ca.crt\nnamespace\ntoken\ndefault${cluster.apiserver.authority.certificate}`,
      );
      const token = await shell('clerk', `cat ${MOUNT}/token`);
      const { server, caFile } = cluster.apiserver;
      const asPod = ['--kubeconfig=/dev/null', `--server=${server}`, `--certificate-authority=${caFile}`];
      const whoami = ['auth', 'whoami', '-o', 'jsonpath={.status.userInfo}'];
      const who = await cluster.admin.must(...asPod, '--token', token, ...whoami);
      expect(JSON.parse(who)).toMatchObject({
        username: 'system:serviceaccount:default:default',
        extra: {
          'authentication.kubernetes.io/node-name': [NODE_NAME],
          'authentication.kubernetes.io/pod-name': ['clerk'],
        },
      });
      expect(await shell('clerk', 'echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT_HTTPS')).toBe(
        '10.0.0.1:443\n',
      );
      const { stderr } = await cluster.admin.run(['exec', 'clerk', '--', 'touch', `${MOUNT}/x`]);
      expect(stderr.toString()).toContain('Read-only file system');
    });

    it('has what config maps and secrets say, once they are there', { timeout: 60_000 }, async () => {
      const volumes = [
        { name: 'words', configMap: { name: 'words', items: [{ key: 'hello', path: 'greeting' }] } },
        { name: 'keys', secret: { secretName: 'keys', defaultMode: 0o400 } },
      ];
      const container = {
        env: [{ name: 'HELLO', valueFrom: { configMapKeyRef: { name: 'words', key: 'hello' } } }],
        envFrom: [{ prefix: 'SECRET_', secretRef: { name: 'keys' } }],
        volumeMounts: [
          { name: 'words', mountPath: '/words' },
          { name: 'keys', mountPath: '/keys' },
        ],
      };
      await create(podManifest('reader', cluster.image, { spec: { volumes }, container }));
      const events = ['get', 'events', '--field-selector=involvedObject.name=reader', '-o', 'jsonpath={..message}'];
      await expect
        .poll(() => cluster.admin.must(...events), { timeout: 30_000 })
        .toContain('MountVolume.SetUp failed for volume "words" : configmaps "words" not found');
      await create({ kind: 'ConfigMap', metadata: { name: 'words' }, data: { hello: 'good day' } });
      await create({ kind: 'Secret', metadata: { name: 'keys' }, stringData: { door: 'open' } });
      await ready('reader');
      const script = 'echo $HELLO, $SECRET_door; cat /words/greeting; stat -Lc " %a" /keys/door';
      expect(await shell('reader', script)).toBe('good day, open\ngood day 400\n');
    });
  },
);

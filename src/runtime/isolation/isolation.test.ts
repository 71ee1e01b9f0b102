import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBusybox, imageArchive } from '../../../test/support/image.ts';
import {
  ContainerState,
  CriClient,
  type CriServer,
  NamespaceMode,
  SecurityProfile_ProfileType,
  serveCri,
} from '../../cri/index.ts';
import { createRuntime, ImageStore, type Runtime } from '../index.ts';
import { listPids, readEnvironment } from '../process/process-table.ts';
import { isolationObstacle } from './index.ts';
import { mountsBelow } from './mounts.ts';
import { PodNetwork } from './network.ts';
import { toolPath } from './tool.ts';

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);
const IMAGE = 'podwire.local/walls:1';

describe.skipIf(obstacle !== undefined)(
  `containers with walls${obstacle === undefined ? '' : ` (${obstacle})`}`,
  () => {
    let directory: string;
    let runtime: Runtime;
    let server: CriServer;
    let client: CriClient;
    let marker: string;
    let attempt = 0;

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'podwire-walls-'));
      const stateDir = join(directory, 'state');
      const group = Buffer.from('root:x:0:\nstaff:x:50:web\nweb:x:1000:\n');
      const passwd = Buffer.from('root:x:0:0::/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n');
      writeFileSync(
        join(directory, 'image.tar'),
        imageArchive({
          names: [IMAGE],
          files: [
            { kind: 'file', name: 'etc/group', mode: 0o644, body: group },
            { kind: 'file', name: 'etc/passwd', mode: 0o644, body: passwd },
            { kind: 'symlink', name: 'etc/resolv.conf', target: `${'../'.repeat(9)}${directory}/outside` },
            { kind: 'symlink', name: 'out', target: directory },
            { kind: 'symlink', name: 'var/run', target: '/run' },
            { kind: 'symlink', name: 'bin/also', target: 'true' },
          ],
        }),
      );
      writeFileSync(join(directory, 'outside'), 'untouched');
      mkdirSync(join(directory, 'volume'));
      await new ImageStore(stateDir).import(join(directory, 'image.tar'));
      runtime = await createRuntime({ stateDir, isolation: true });
      marker = (JSON.parse(readFileSync(join(stateDir, 'runtime.json'), 'utf8')) as { marker: string }).marker;
      server = await serveCri(runtime.handlers, { socketPath: join(directory, 'cri.sock') });
      client = new CriClient(join(directory, 'cri.sock'));
    });

    afterAll(async () => {
      await client.close();
      await server.close();
      await runtime.close();
      expect(listPids().filter((pid) => readEnvironment(pid).includes(`PODWIRE_SESSION=${marker}/`))).toEqual([]);
      expect(mountsBelow(directory)).toEqual([]);
      expect(readFileSync(join(directory, 'outside'), 'utf8')).toBe('untouched');
      rmSync(directory, { recursive: true });
    });

    type Config = NonNullable<Parameters<typeof client.runtime.createContainer>[0]['config']>;
    type Security = NonNullable<NonNullable<Config['linux']>['securityContext']>;
    const own = { pid: NamespaceMode.CONTAINER, network: NamespaceMode.POD, ipc: NamespaceMode.POD };

    async function pod(
      security: { pid?: NamespaceMode; network?: NamespaceMode; ipc?: NamespaceMode } = own,
      sysctls: Record<string, string> = {},
    ): Promise<string> {
      attempt += 1;
      const config = {
        metadata: { name: 'pod', namespace: 'ns', uid: `u${attempt}`, attempt },
        hostname: 'walled',
        linux: { securityContext: { namespaceOptions: security, privileged: true }, sysctls },
        dnsConfig: { servers: ['192.0.2.1'], searches: ['a.test'], options: ['ndots:3'] },
      };
      return (await client.runtime.runPodSandbox({ config })).podSandboxId;
    }

    async function start(podSandboxId: string, config: Config = {}, security: Security = {}): Promise<string> {
      const namespaces = security.namespaceOptions;
      const namespaceOptions = { ...own, ...(namespaces?.pid !== undefined && { pid: namespaces.pid }) };
      const whole = {
        image: { image: IMAGE },
        command: ['sleep', '1000'],
        ...config,
        metadata: { name: config.metadata?.name ?? 'main', attempt: 0 },
        linux: { securityContext: { ...security, namespaceOptions } },
      };
      const { containerId } = await client.runtime.createContainer({ podSandboxId, config: whole as Config });
      await client.runtime.startContainer({ containerId });
      return containerId;
    }

    async function sh(containerId: string, script: string): Promise<string> {
      const { stdout, stderr } = await client.runtime.execSync({
        containerId,
        cmd: ['sh', '-c', script],
        timeout: 20n,
      });
      return Buffer.concat([stdout, stderr]).toString().trim();
    }

    const status = async (containerId: string) => (await client.runtime.containerStatus({ containerId })).status!;

    it('have their own processes, root, host name, resolver and devices', async () => {
      const id = await start(await pod());
      expect(await sh(id, 'tr "\\0" " " </proc/1/cmdline')).toBe('sleep 1000');
      expect(await sh(id, 'ls /proc | grep -c "^[0-9]"')).toMatch(/^[1-6]$/);
      expect(await sh(id, 'hostname; cat /etc/hostname')).toBe('walled\nwalled');
      expect(await sh(id, 'cat /etc/resolv.conf')).toBe('search a.test\nnameserver 192.0.2.1\noptions ndots:3');
      expect(await sh(id, 'ls /')).not.toMatch(/work|boot|\br\b/);
      expect(await sh(id, 'cd /dev; ls -A')).toBe(
        'fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero',
      );
      expect(await sh(id, `cat ${directory}/outside /out/outside`)).toContain('No such file');
      expect(await sh(id, 'grep -c . /proc/mounts; grep -E "old|podwire-tools|/dev/vda / " /proc/mounts')).toMatch(
        /^\d+$/,
      );
    });

    it('keep the rights of their first process in an exec', async () => {
      const id = await start(await pod(), {}, { capabilities: { dropCapabilities: ['NET_RAW'] }, noNewPrivs: true });
      const rights = 'grep -E "^(Cap|NoNewPrivs|Seccomp:|Groups|Uid|Gid)"';
      const ofFirst = await sh(id, `${rights} /proc/1/status`);
      expect(await sh(id, `${rights} /proc/self/status`)).toBe(ofFirst);
      expect(ofFirst).toMatch(/NoNewPrivs:\s1/);
      const bits = BigInt(`0x${/CapBnd:\s*(\w+)/.exec(ofFirst)![1]}`);
      expect([(bits >> 13n) & 1n, (bits >> 21n) & 1n, (bits >> 18n) & 1n]).toEqual([0n, 0n, 1n]);
      expect(ofFirst).toMatch(/CapInh:\s*0+\n/);
      expect(await sh(id, 'mount -t tmpfs t /tmp; mknod /tmp/sda b 8 0')).toMatch(
        /permission denied[\s\S]*not permitted/i,
      );
    });

    it.each([
      ['by id', { runAsUser: { value: 1000n } }],
      ['by name', { runAsUsername: 'web' }],
    ])('run as a user %s with its groups, also with no capability at all', async (_title, user) => {
      const security = { ...user, supplementalGroups: [77n], capabilities: { dropCapabilities: ['ALL'] } };
      const id = await start(
        await pod(),
        { workingDir: '/made/here', envs: [{ key: 'a.b', value: Buffer.from('dots') }] },
        security,
      );
      const rights = 'grep -E "^(CapEff|CapPrm|CapBnd|CapAmb|Groups|Uid|Gid)" /proc/';
      expect(await sh(id, 'id; pwd; echo $HOME')).toBe(
        'uid=1000(web) gid=1000(web) groups=50(staff),77\n/made/here\n/home/web',
      );
      const env = await client.runtime.execSync({ containerId: id, cmd: ['env'], timeout: 20n });
      expect(Buffer.from(env.stdout).toString().split('\n')).toContain('a.b=dots');
      expect(await sh(id, `${rights}self/status`)).toBe(await sh(id, `${rights}1/status`));
      expect(await sh(id, `${rights}self/status`)).toMatch(/CapBnd:\s*0+\n/);
      expect((await status(id)).user?.linux).toMatchObject({
        uid: 1000n,
        gid: 1000n,
        supplementalGroups: [1000n, 50n, 77n],
      });
    });

    it.skipIf(toolPath('capsh') === undefined)('keep a root without any capability in an exec', async () => {
      const security = { capabilities: { dropCapabilities: ['ALL'] }, noNewPrivs: true };
      const envs = [{ key: 'a.b', value: Buffer.from('dots') }];
      for (const workingDir of ['/', '/made here']) {
        const id = await start(await pod(), { workingDir, envs }, security);
        const rights = 'grep -E "^(Cap|NoNewPrivs|Groups|Uid|Gid)" /proc/';
        const ofFirst = await sh(id, `${rights}1/status`);
        expect(await sh(id, `${rights}self/status`)).toBe(ofFirst);
        expect(ofFirst).toMatch(/CapBnd:\s*0+\nCapAmb:\s*0+\nNoNewPrivs:\s*1/);
        expect(await sh(id, 'pwd')).toBe(workingDir);
        const env = await client.runtime.execSync({ containerId: id, cmd: ['env'], timeout: 20n });
        expect(Buffer.from(env.stdout).toString().split('\n')).toContain('a.b=dots');
        const bare = await client.runtime.execSync({ containerId: id, cmd: ['true'], timeout: 20n });
        expect(bare.exitCode).toBe(0);
        const missing = client.runtime.execSync({ containerId: id, cmd: ['nothing'], timeout: 20n });
        await expect(missing).rejects.toThrow('executable file not found in $PATH');
      }
    });

    it('never have a variable of theirs set for a program of the host', async () => {
      const envs = [
        { key: 'LD_PRELOAD', value: Buffer.from('/none.so') },
        { key: 'Q', value: Buffer.from("it's $HOME\n`x`") },
      ];
      const id = await start(await pod(), { envs });
      expect(await sh(id, 'echo "$LD_PRELOAD"; echo "$Q"; tr "\\0" "\\n" </proc/1/environ | grep LD_')).toBe(
        "/none.so\nit's $HOME\n`x`\nLD_PRELOAD=/none.so",
      );
    });

    it('see volumes, read-only ones too, and never through a link of somebody else', async () => {
      const volume = join(directory, 'volume');
      writeFileSync(join(volume, 'file'), 'from the host');
      const mounts = [
        { containerPath: '/data/rw', hostPath: volume },
        { containerPath: '/data/ro', hostPath: volume, readonly: true },
        { containerPath: '/etc/one', hostPath: join(volume, 'file') },
      ];
      const id = await start(await pod(), { mounts });
      expect(await sh(id, 'cat /data/rw/file /etc/one; echo new >/data/rw/new; echo no >/data/ro/no')).toMatch(
        /^from the hostfrom the host.*Read-only/s,
      );
      expect(readFileSync(join(volume, 'new'), 'utf8')).toBe('new\n');
      symlinkSync('/', join(volume, 'root'));
      const evil = [mounts[0]!, { containerPath: '/data/rw/root/tmp/x', hostPath: volume }];
      await expect(start(await pod(), { mounts: evil })).rejects.toThrow('leads through a link');
      const missing = [{ containerPath: '/x', hostPath: join(directory, 'missing') }];
      await expect(start(await pod(), { mounts: missing })).rejects.toThrow('missing');
    });

    it('see volumes where links of their image lead, within their root', async () => {
      const volume = mkdtempSync(join(directory, 'volume-'));
      writeFileSync(join(volume, 'file'), '#!/bin/sh\necho from the volume', { mode: 0o755 });
      const mounts = [
        { containerPath: '/var/run/secrets/token', hostPath: volume },
        { containerPath: '/out/deep', hostPath: volume },
        { containerPath: '/bin/also', hostPath: join(volume, 'file') },
        { containerPath: '/dev/shared', hostPath: volume },
      ];
      const id = await start(await pod(), { mounts });
      expect(await sh(id, 'cd /run/secrets/token && ls')).toBe('file');
      expect(await sh(id, `ls /dev/shared ${directory}/deep; also; true`)).toBe(
        `/dev/shared:\nfile\n\n${directory}/deep:\nfile\nfrom the volume`,
      );
      expect(existsSync(join(directory, 'deep'))).toBe(false);
      // What a volume covers is not what the image has there.
      const over = [{ containerPath: '/run', hostPath: volume }, mounts[0]!];
      const other = await start(await pod(), { mounts: over });
      expect(await sh(other, 'ls /run /run/secrets/token')).toBe(
        '/run:\nfile\nsecrets\n\n/run/secrets/token:\nfile\nsecrets',
      );
    });

    const device = readdirSync('/dev')
      .filter((name) => !/^(null|zero|full|u?random|tty|console|ptmx)$/.test(name))
      .find((name) => lstatSync(join('/dev', name)).isCharacterDevice());
    it.skipIf(device === undefined)(
      'have the devices of the host when they are privileged, and no others do',
      async () => {
        const look = `ls /dev | grep -c -x ${device}; stat -c %t:%T /dev/${device}`;
        const { rdev } = lstatSync(`/dev/${device}`);
        const privileged = await start(await pod(), {}, { privileged: true });
        expect(await sh(privileged, look)).toBe(`1\n${(rdev >> 8).toString(16)}:${(rdev & 0xff).toString(16)}`);
        expect(await sh(await start(await pod()), look)).toMatch(/^0\n/);
      },
    );

    it('hide what must not be seen or written, and may have a read-only root', async () => {
      const id = await start(await pod(), {}, { readonlyRootfs: true, maskedPaths: ['/proc/cpuinfo', '/usr'] });
      expect(await sh(id, 'wc -c </proc/cpuinfo; ls /usr')).toBe('0');
      expect(await sh(id, 'echo 1 >/proc/sys/kernel/hostname')).toContain('Read-only');
      expect(await sh(id, 'echo x >/file')).toContain('Read-only');
      expect(await sh(id, 'echo ok >/dev/shm/x && cat /dev/shm/x')).toBe('ok');
    });

    it('share processes, shared memory and network within a pod, when it says so', async () => {
      const shared = { ...own, pid: NamespaceMode.POD };
      const podSandboxId = await pod(shared);
      const one = await start(
        podSandboxId,
        { metadata: { name: 'one' }, command: ['sleep', '1111'] },
        { namespaceOptions: shared },
      );
      const two = await start(podSandboxId, { metadata: { name: 'two' } }, { namespaceOptions: shared });
      expect(await sh(two, 'ps')).toContain('sleep 1111');
      expect(await sh(one, 'echo hi >/dev/shm/x')).toBe('');
      expect(await sh(two, 'cat /dev/shm/x')).toBe('hi');
      expect(await sh(one, 'readlink /proc/self/ns/net')).toBe(await sh(two, 'readlink /proc/self/ns/net'));
      expect(await sh(one, 'ls /proc/1/root/')).not.toContain('etc');
    });

    it('leave nothing behind of a command that took too long', async () => {
      const shared = { ...own, pid: NamespaceMode.POD };
      for (const namespaceOptions of [own, shared]) {
        const id = await start(await pod(namespaceOptions), { command: ['top', '-b'] }, { namespaceOptions });
        const slow = client.runtime.execSync({ containerId: id, cmd: ['sleep', '4321'], timeout: 1n });
        await expect(slow).rejects.toThrow('DeadlineExceeded');
        expect(await sh(id, 'ps -o pid,ppid,stat,comm | grep -v -w -E "ps|grep|sh"')).not.toContain('sleep');
      }
    });

    it('never show the host to a neighbour, neither at a start nor at an exec', async () => {
      const shared = { ...own, pid: NamespaceMode.POD };
      const podSandboxId = await pod(shared);
      const look =
        'while :; do for p in /proc/[0-9]*; do [ -e $p/root/home ] && echo "$p $(ls $p/root)"; [ -e $p/cwd/../../home/../boot ] && echo "cwd $p"; done; done 2>/dev/null';
      const spy = await start(
        podSandboxId,
        { metadata: { name: 'spy' }, command: ['sh', '-c', `(${look}) >/seen & sleep 1000`] },
        { namespaceOptions: shared },
      );
      const other = await start(podSandboxId, { metadata: { name: 'other' } }, { namespaceOptions: shared });
      for (let round = 0; round < 5; round += 1) await sh(other, 'true');
      expect(await sh(spy, 'cat /seen')).toBe('');
    });

    const localhost = { profileType: SecurityProfile_ProfileType.Localhost, localhostRef: '/profile' };
    const userns = { ...own, usernsOptions: { mode: NamespaceMode.POD } };
    it.each<[string, Config, Security]>([
      ['a seccomp profile', {}, { seccomp: localhost }],
      ['a seccomp profile', {}, { seccompProfilePath: 'localhost//profile' }],
      ['an AppArmor profile', {}, { apparmor: localhost }],
      ['an AppArmor profile', {}, { apparmorProfile: 'localhost/none' }],
      ['SELinux labels', {}, { selinuxOptions: { type: 'container_t' } }],
      ['ambient capabilities', {}, { capabilities: { addAmbientCapabilities: ['NET_RAW'] } }],
      ['CDI devices', { CDIDevices: [{ name: 'vendor.test/gpu=0' }] }, {}],
      ['mounts with other ids', { mounts: [{ containerPath: '/x', hostPath: '/', uidMappings: [{ length: 1 }] }] }, {}],
      [
        'the device /dev/one with the permissions r',
        { devices: [{ containerPath: '/dev/one', hostPath: '/dev/zero', permissions: 'r' }] },
        {},
      ],
    ])('are refused %s, which they would not have', async (what, config, security) => {
      await expect(start(await pod(), config, security)).rejects.toThrow(`cannot give a container ${what}`);
    });

    it.each<[string, Security]>([
      ['a seccomp profile', { seccomp: localhost }],
      ['a seccomp profile', { seccompProfilePath: 'localhost//profile' }],
      ['SELinux labels', { selinuxOptions: { level: 's0' } }],
      ['a user namespace', { namespaceOptions: userns }],
    ])('have no pod with %s', async (what, securityContext) => {
      const config = { metadata: { name: 'no', namespace: 'ns', uid: 'no', attempt: 0 }, linux: { securityContext } };
      type Request = Parameters<typeof client.runtime.runPodSandbox>[0];
      await expect(client.runtime.runPodSandbox({ config } as Request)).rejects.toThrow(`cannot give a pod ${what}`);
      expect((await client.runtime.listPodSandbox({})).items.filter(({ metadata }) => metadata?.name === 'no')).toEqual(
        [],
      );
    });

    it('end with their code, and at once when nobody catches the stop signal', async () => {
      const podSandboxId = await pod();
      const deaf = await start(podSandboxId);
      const before = performance.now();
      await client.runtime.stopContainer({ containerId: deaf, timeout: 30n });
      expect(performance.now() - before).toBeLessThan(10_000);
      expect((await status(deaf)).exitCode).toBe(137);
      const command = ['sh', '-c', 'trap "exit 7" TERM; echo up >/up; while :; do sleep 0.05; done'];
      const polite = await start(podSandboxId, { metadata: { name: 'polite' }, command });
      while ((await sh(polite, 'cat /up')) !== 'up');
      await client.runtime.stopContainer({ containerId: polite, timeout: 30n });
      expect(await status(polite)).toMatchObject({ exitCode: 7, state: ContainerState.CONTAINER_EXITED });
    });

    // perl(1) of Debian's base, from the host: BusyBox has nothing that waits for signals as an init does.
    it.skipIf(toolPath('perl') === undefined)(
      'end by themselves when they wait for the stop signal without a handler, as inits do',
      async () => {
        const mounts = ['/usr', '/lib', '/lib64', '/etc/perl']
          .filter((path) => existsSync(path))
          .map((path) => ({ containerPath: path, hostPath: path, readonly: true }));
        const podSandboxId = await pod();
        const wait = {
          blocked: 'do { sigpending($pending); select(undef, undef, undef, 0.01) } until $pending->ismember(SIGTERM);',
          // rt_sigtimedwait(2): while it waits, /proc shows the signal as neither caught nor blocked.
          'waited for': `my $set = pack("Q", 1 << (SIGTERM - 1)); syscall(${process.arch === 'arm64' ? 137 : 128}, $set, 0, 0, 8);`,
        };
        for (const [name, loop] of Object.entries(wait)) {
          const script =
            'use POSIX qw(:signal_h); my $pending = POSIX::SigSet->new; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM));' +
            `open(my $up, ">", "/up"); print $up "up"; close($up); ${loop} select(undef, undef, undef, 0.5); exit 42`;
          const config = { metadata: { name: name.split(' ')[0]! }, command: ['/usr/bin/perl', '-e', script], mounts };
          const id = await start(podSandboxId, config);
          while ((await sh(id, 'cat /up')) !== 'up');
          await client.runtime.stopContainer({ containerId: id, timeout: 30n });
          expect([name, (await status(id)).exitCode]).toEqual([name, 42]);
        }
      },
    );

    it('say 127 and 126 for a command that is not there or may not run', async () => {
      const podSandboxId = await pod();
      await expect(start(podSandboxId, { command: ['nope'] })).rejects.toThrow('executable file not found in $PATH');
      const id = await start(podSandboxId, { metadata: { name: 'two' } });
      await expect(client.runtime.execSync({ containerId: id, cmd: ['/etc/passwd'] })).rejects.toThrow(
        'permission denied',
      );
      await expect(client.runtime.execSync({ containerId: id, cmd: ['nope'] })).rejects.toThrow('not found');
    });

    it('have settings of the kernel changed in namespaces of their own, and nowhere else', async () => {
      const [ttl, msgmax, swappiness] = ['net.ipv4.ip_default_ttl', 'kernel.msgmax', 'vm.swappiness'] as const;
      const path = (name: string): string => `/proc/sys/${name.replaceAll('.', '/')}`;
      // Written to the host after all, it would change nothing there.
      const asItIs = (name: string): string => readFileSync(path(name), 'utf8').trim();
      const refusal = async (name: string, network: NamespaceMode, ipc: NamespaceMode): Promise<string> =>
        pod({ ...own, network, ipc }, { [name]: asItIs(name) }).then(
          () => 'it is made',
          (thrown: unknown) => (thrown as Error).message,
        );
      const { NODE, POD } = NamespaceMode;
      expect(await refusal(ttl, NODE, POD)).toMatch(/InvalidArgument.*"net\.ipv4\.ip_default_ttl" belongs/);
      expect(await refusal(msgmax, POD, NODE)).toMatch(/InvalidArgument.*"kernel\.msgmax" belongs/);
      expect(await refusal(swappiness, POD, POD)).toMatch(/InvalidArgument.*"vm\.swappiness" belongs to no namespace/);
      const other = String(Number(asItIs(msgmax)) + 1);
      const id = await start(await pod({ ...own, network: NODE }, { [msgmax]: other }));
      expect(await sh(id, `cat ${path(msgmax)}`)).toBe(other);
      expect(asItIs(msgmax)).not.toBe(other);
    });

    it.skipIf(PodNetwork.find('/') === undefined)('have settings of their network changed', async () => {
      const id = await start(await pod(own, { 'net.ipv4.ip_default_ttl': '65' }));
      expect(await sh(id, 'cat /proc/sys/net/ipv4/ip_default_ttl')).toBe('65');
    });

    it.skipIf(PodNetwork.find('/') === undefined)('have an address that the host reaches', async () => {
      const podSandboxId = await pod();
      await start(podSandboxId, { command: ['httpd', '-f', '-p', '80', '-h', '/www'] });
      const { ip } = (await client.runtime.podSandboxStatus({ podSandboxId })).status!.network!;
      expect(ip).toMatch(/^10\./);
      expect(await answerOf(`http://${ip}/index.html`)).toBe('podwire\n');
    });
  },
);

/** A server needs a moment until it listens. */
async function answerOf(url: string): Promise<string> {
  for (;;) {
    try {
      return await (await fetch(url)).text();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

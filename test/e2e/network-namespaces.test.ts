import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deferred } from '../../src/common/deferred.ts';
import { CertificateAuthority } from '../../src/pki/index.ts';
import type { ChildResult } from '../support/child.ts';
import { describeWithPeer } from '../support/peer.ts';
import { APISERVER_URL, HopMachines, KUBELET_URL, ways } from './hop-machines.ts';

// Each hop as a process of its own on a machine of its own. Needs `npm run build`.

/** For what comes within seconds: files are looked at every 5 s, and twice before something is called broken. */
const SOON_MS = 20_000;
/** Where `podwire exec` calls, and what it says where. */
const servers = [
  { hop: 'apiserver', address: '10.213.1.2:6443', flags: [] },
  { hop: 'kubelet', address: '10.213.3.2:10250', flags: ['--kubelet', KUBELET_URL] },
] as const;

interface Said {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function said(result: Promise<ChildResult>): Promise<Said> {
  const { exitCode, stdout, stderr } = await result;
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** Tries until the result is as wanted; the last one, wanted or not, when the time is over. */
async function until(attempt: () => Promise<Said>, isWanted: (result: Said) => boolean): Promise<Said> {
  const deadline = Date.now() + SOON_MS;
  for (;;) {
    const result = await attempt();
    if (isWanted(result) || Date.now() > deadline) return result;
    await delay(250);
  }
}

/** A command that says what it reads, and its first line when it runs. */
function startEcho(machines: HopMachines): {
  readonly stdin: PassThrough;
  readonly runs: Promise<void>;
  readonly ended: Promise<Said>;
} {
  const stdin = new PassThrough();
  const runs = deferred<void>();
  const chunks: Buffer[] = [];
  const onStdout = (chunk: Buffer): void => {
    chunks.push(chunk);
    runs.resolve();
  };
  const result = machines.exec('podwire websocket', ['sh', '-c', 'echo runs; cat'], { stdin, onStdout });
  const ended = said(result).then((end) => ({ ...end, stdout: Buffer.concat(chunks).toString() }));
  return { stdin, runs: runs.promise, ended };
}

describeWithPeer(['network-namespaces', 'kubectl'], 'each hop on a machine of its own', () => {
  let machines: HopMachines;
  beforeAll(async () => {
    machines = await HopMachines.start();
  });
  afterAll(() => machines?.[Symbol.asyncDispose]());

  for (const way of ways) {
    it(`${way} runs a command on the node, with both outputs, stdin and the exit code`, async () => {
      const command = 'ip -o -4 address show to 10.213.2.2 | grep -c . >&2; cat; exit 7';
      const { exitCode, stdout, stderr } = await said(
        machines.exec(way, ['sh', '-c', command], { stdin: Buffer.from('over two cables') }),
      );
      expect({ exitCode, stdout }).toEqual({ exitCode: 7, stdout: 'over two cables' });
      expect(stderr).toBe('1\ncommand terminated with exit code 7\n');
    });

    it(`${way} brings 8 MiB whole, both ways`, async () => {
      const bytes = Buffer.alloc(8 * 1024 * 1024, 'podwire over a cable\n');
      const { exitCode, stdout } = await machines.exec(way, ['cat'], { stdin: bytes });
      expect(exitCode).toBe(0);
      expect(stdout.equals(bytes)).toBe(true);
    });
  }

  it('the kubelet has registered its node, and reports the pod at its address', async () => {
    expect(await machines.kubectl(['get', 'nodes', '-o', 'wide'])).toMatch(/^node1 +Ready .* 10\.213\.2\.2 /m);
    expect(await machines.kubectl(['get', 'pods', '-o', 'wide'])).toMatch(
      /^web +1\/1 +Running .* 10\.213\.2\.2 +node1 /m,
    );
  });

  for (const { hop, address, flags } of servers) {
    it(`a wrong CA for the ${hop}: the client says whose certificate it does not trust, and what to set`, async () => {
      const other = await CertificateAuthority.create('other-ca');
      const file = machines.certificates.add('other-ca.crt', other.certificate);
      const { exitCode, stderr } = await said(machines.podwire([...flags, '--certificate-authority', file], ['true']));
      expect(exitCode).toBe(125);
      expect(stderr).toMatch(
        new RegExp(`cannot connect to ${address}: its certificate is signed by nobody we trust: set certificate-auth`),
      );
      expect(stderr).toContain(`where:   ${hop}\n`);
      expect(stderr).not.toContain('address and port');
    });

    it(`no client certificate for the ${hop}: it does not know who calls`, async () => {
      const nobody = machines.certificates.kubeconfig('nobody', APISERVER_URL, undefined);
      const { exitCode, stderr } = await said(machines.podwire([...flags, '--kubeconfig', nobody], ['true']));
      expect(exitCode).toBe(125);
      expect(stderr).toContain('error: You must be logged in to the server (');
      expect(stderr).toContain(`where:   ${hop}\n`);
      expect(stderr).toContain('remedy:  we have no credentials at all');
    });

    it(`an expired client certificate for the ${hop}: the client says when it ended`, async () => {
      const { certificates } = machines;
      const { certificate, key } = await certificates.issue('admin', { validForMs: -1000 });
      const pair = [certificates.add('expired.crt', certificate), certificates.add('expired.key', key)] as const;
      const own = ['--client-certificate', pair[0], '--client-key', pair[1]];
      const { exitCode, stderr } = await said(machines.podwire([...flags, ...own], ['true']));
      expect(exitCode).toBe(125);
      expect(stderr).toContain('Unauthorized');
      expect(stderr).toMatch(/remedy: {2}renew the client certificate \S+\/expired\.crt: it expired \d{4}-/);
    });

    it(`a client certificate by somebody else for the ${hop}: the client says by whom`, async () => {
      const { certificates } = machines;
      const other = await CertificateAuthority.create('other-ca');
      const { certificate, key } = await certificates.issue('admin', { authority: other });
      const pair = [certificates.add('foreign.crt', certificate), certificates.add('foreign.key', key)] as const;
      const own = ['--client-certificate', pair[0], '--client-key', pair[1]];
      const { exitCode, stderr } = await said(machines.podwire([...flags, ...own], ['true']));
      expect(exitCode).toBe(125);
      expect(stderr).toMatch(/remedy: {2}ask for a client certificate by .* is by CN=other-ca\n/);
    });
  }

  it('a node that goes away: clients hear it in time, and are served again when it is back', async () => {
    expect((await said(machines.exec('podwire straight', ['true']))).exitCode).toBe(0);
    await machines.cable('apiserver-node', 'down');
    try {
      const ours = await said(machines.exec('podwire websocket', ['true'], { deadlineMs: 30_000 }));
      expect(ours.exitCode).toBe(125);
      expect(ours.stderr).toMatch(/error dialing backend: .*10\.213\.2\.2:10250/);
      expect(ours.stderr).toContain('where:   kubelet\n');
      expect(ours.stderr).toContain('remedy:  check that the kubelet of the pod');
      const real = await said(machines.exec('kubectl websocket', ['true'], { deadlineMs: 30_000 }));
      expect(real.exitCode).toBe(1);
      expect(real.stderr).toMatch(/error dialing backend: .*10\.213\.2\.2:10250/);
      // What the apiserver said of the caller counts on: the node serves whom it knows.
      expect((await said(machines.exec('podwire straight', ['echo', 'known']))).stdout).toBe('known\n');
    } finally {
      await machines.cable('apiserver-node', 'up');
    }
    // The apiserver's machine may still take the node for unreachable for a moment.
    const back = await until(
      () => said(machines.exec('kubectl spdy', ['echo', 'back'])),
      ({ exitCode }) => exitCode === 0,
    );
    expect(back).toMatchObject({ exitCode: 0, stdout: 'back\n' });
  });

  for (const transport of ['websocket', 'spdy']) {
    it(`a session over ${transport} whose cable is pulled out fails in time, and its command ends`, async () => {
      const marker = `${machines.folder}-${transport}`;
      const flags = ['--transport', transport, '--keepalive-interval', '500ms', '--keepalive-timeout', '2s'];
      try {
        const { exitCode, stderr } = await said(
          machines.podwire(flags, ['sh', '-c', `echo runs; MARK=${marker} exec sleep 1000`], {
            onStdout: () => machines.cable('client-apiserver', 'down'),
            deadlineMs: 30_000,
          }),
        );
        expect(exitCode).toBe(125);
        expect(stderr).toContain('error: the peer sent nothing for 2000 ms');
        expect(stderr).toContain('(ERR_KEEPALIVE_TIMEOUT)');
        expect(machines.processesWith(marker)).not.toEqual([]);
        const late = await said(machines.podwire(['--dial-timeout', '1s'], ['true'], { deadlineMs: 30_000 }));
        expect(late.exitCode).toBe(125);
        expect(late.stderr).toMatch(
          /10\.213\.1\.2:6443(?:: there is no route to the host| did not answer within 1000 ms)/,
        );
      } finally {
        await machines.cable('client-apiserver', 'up');
      }
      // Back on the network, the client's machine answers that it knows no such connection.
      await expect.poll(() => machines.processesWith(marker), { timeout: 45_000 }).toEqual([]);
    });
  }

  it('a session outlives a short outage and loses nothing', async () => {
    const { stdin, runs, ended } = startEcho(machines);
    await runs;
    const text = 'through the gap\n'.repeat(4096);
    await machines.cable('client-apiserver', 'down');
    stdin.end(text);
    // The length of the outage; nothing is waited for.
    await delay(500);
    await machines.cable('client-apiserver', 'up');
    expect(await ended).toMatchObject({ exitCode: 0, stdout: `runs\n${text}` });
  });

  it('all certificates and the CA are replaced while hops run and a session goes on', async () => {
    const { certificates } = machines;
    const session = startEcho(machines);
    await session.runs;
    const [first, second] = [certificates.authority, await CertificateAuthority.create('second-ca')];
    const old = await certificates.issue('admin');
    const oldFlags = ['--client-certificate', certificates.add('old.crt', old.certificate)];
    oldFlags.push('--client-key', certificates.add('old.key', old.key));
    certificates.authority = second;
    certificates.trust(first, second);
    for (const name of ['apiserver', 'apiserver-client', 'kubelet', 'kubelet-client', 'admin'] as const) {
      certificates.write(name, await certificates.issue(name));
    }
    const onlySecond = ['--certificate-authority', certificates.add('second-ca.crt', second.certificate)];
    for (const { flags } of servers) {
      const isNew = await until(
        () => said(machines.podwire([...flags, ...onlySecond], ['echo', 'new'])),
        ({ exitCode }) => exitCode === 0,
      );
      expect(isNew).toMatchObject({ exitCode: 0, stdout: 'new\n' });
    }
    certificates.trust(second);
    for (const { flags } of servers) {
      const refused = await until(
        () => said(machines.podwire([...flags, ...oldFlags], ['true'])),
        ({ exitCode }) => exitCode !== 0,
      );
      expect(refused.exitCode).toBe(125);
      expect(refused.stderr).toContain('Unauthorized');
    }
    for (const way of ways) expect((await said(machines.exec(way, ['echo', way]))).stdout).toBe(`${way}\n`);
    session.stdin.end('still here\n');
    expect(await session.ended).toMatchObject({ exitCode: 0, stdout: 'runs\nstill here\n' });
  });

  it('a kubelet whose certificate has expired: the apiserver says so, until it is renewed', async () => {
    const { certificates } = machines;
    certificates.write('kubelet', await certificates.issue('kubelet', { validForMs: -1000 }));
    const expired = await until(
      () => said(machines.exec('kubectl websocket', ['true'])),
      ({ exitCode }) => exitCode !== 0,
    );
    expect(expired.exitCode).toBe(1);
    expect(expired.stderr).toMatch(/error dialing backend: .*10\.213\.2\.2:10250: its certificate has expired/);
    certificates.write('kubelet', await certificates.issue('kubelet'));
    const renewed = await until(
      () => said(machines.exec('kubectl websocket', ['echo', 'renewed'])),
      ({ exitCode }) => exitCode === 0,
    );
    expect(renewed).toMatchObject({ exitCode: 0, stdout: 'renewed\n' });
  });
});

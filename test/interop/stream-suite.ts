import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import { DEMO_POD, NODE_NAME } from '../../src/cluster/index.ts';
import { deferred } from '../../src/common/deferred.ts';
import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { BackgroundChild } from '../support/child.ts';
import { Kubectl } from '../support/kubectl.ts';
import { Loopback } from '../support/loopback.ts';
import { readAll } from '../support/read-all.ts';
import { Terminal } from '../support/terminal.ts';
import { type Behaviour, type Exceptions, type ExecTarget, interopSuite } from './exec-suite.ts';

const DEADLINE_MS = 30_000;

/**
 * What kubectl must see of `attach` and `port-forward` through our hops.
 *
 * @param image that the runtime runs; `network: pod` where it gives pods an own network and the image has httpd
 */
export function streamInterop(
  name: string,
  makeTarget: () => Promise<ExecTarget>,
  options: { readonly image: string; readonly network: 'host' | 'pod'; readonly except?: Exceptions },
): void {
  interopSuite(`attach and port-forward: ${name}`, makeTarget, options.except ?? {}, (behaviour) => {
    attaching(behaviour, options.image);
    forwarding(behaviour);
    if (options.network === 'pod') forwardingIntoPods(behaviour, options.image);
  });
}

function kubectlOf(target: ExecTarget): Kubectl {
  if (!(target.client instanceof Kubectl)) throw new Error('this suite drives kubectl');
  return target.client;
}

/** A pod of one container that is there for one test. */
async function withPod(
  target: ExecTarget,
  name: string,
  spec: { readonly hostNetwork?: boolean; readonly container: object },
  use: (kubectl: Kubectl) => Promise<void>,
): Promise<void> {
  const kubectl = kubectlOf(target);
  const { hostNetwork = true, container } = spec;
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeName: NODE_NAME,
      hostNetwork,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', imagePullPolicy: 'IfNotPresent', ...container }],
    },
  };
  const made = await kubectl.run(['create', '--validate=false', '-f', '-'], {
    stdin: Buffer.from(JSON.stringify(pod)),
  });
  expect(made.stderr.toString()).toBe('');
  await kubectl.must('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=30s');
  try {
    await use(kubectl);
  } finally {
    await kubectl.must('delete', 'pod', name, '--wait=false');
  }
}

/** Input that a test gives piece by piece. */
function openInput(): Readable {
  return new Readable({ read: () => undefined });
}

function attaching(behaviour: Behaviour, image: string): void {
  behaviour('attach carries input and output until the container ends', async (target) => {
    // What a container of containerd 1.6 says right before it ends does not always reach those attached, also when its own
    // streaming server is asked: no DATA comes before the Status. Our runtime has to bring it whenever it ends.
    const pause = image === HOST_IMAGE ? '' : 'sleep 0.5; ';
    const command = ['sh', '-c', `while read l; do echo "<$l>"; [ "$l" = end ] && { ${pause}exit 3; }; done`];
    await withPod(target, 'attach-end', { container: { image, command, stdin: true } }, async (kubectl) => {
      const stdin = openInput();
      const heard = deferred<void>();
      let out = '';
      const session = kubectl.run(['attach', '-i', 'attach-end'], {
        stdin,
        deadlineMs: DEADLINE_MS,
        onStdout: (chunk) => {
          out += chunk.toString();
          if (out.includes('<one>')) heard.resolve();
        },
      });
      stdin.push('one\n');
      await Promise.race([heard.promise, session]);
      stdin.push('end\n');
      const { exitCode } = await session;
      stdin.push(null);
      expect({ out, exitCode }).toEqual({ out: '<one>\n<end>\n', exitCode: 0 });
    });
  });

  behaviour('attach detaches when input ends, and another finds the container as it was', async (target) => {
    const command = ['cat'];
    await withPod(target, 'attach-again', { container: { image, command, stdin: true } }, async (kubectl) => {
      for (const word of ['first', 'second']) {
        const stdin = openInput();
        stdin.push(`${word}\n`);
        let out = '';
        const { exitCode } = await kubectl.run(['attach', '-i', 'attach-again'], {
          stdin,
          deadlineMs: DEADLINE_MS,
          onStdout: (chunk) => {
            out += chunk.toString();
            if (out.includes('\n')) stdin.push(null);
          },
        });
        expect({ out, exitCode }).toEqual({ out: `${word}\n`, exitCode: 0 });
      }
    });
  });

  behaviour('attach gives a terminal with its size', async (target) => {
    const container = { image, command: ['sh'], stdin: true, tty: true, env: [{ name: 'PS1', value: '# ' }] };
    await withPod(target, 'attach-tty', { container }, async (kubectl) => {
      const { argv, env } = kubectl.commandLine('attach', '-it', 'attach-tty');
      await using terminal = await Terminal.start(argv, { env, columns: 101, rows: 33 });
      await terminal.waitFor(/If you don.t see a command prompt/);
      // kubectl says so before it has told its size.
      await showsSize(terminal, '33 101');
      await terminal.resize(77, 22);
      await showsSize(terminal, '22 77');
      await terminal.type('exit 0\n');
      expect(await terminal.exitCode()).toBe(0);
    });
  });
}

/** Asks for the size until it is as wanted. */
async function showsSize(terminal: Terminal, wanted: string): Promise<void> {
  const ask = async (): Promise<string> => {
    await terminal.type('stty size\n');
    return await terminal.screen();
  };
  await expect.poll(ask, { timeout: DEADLINE_MS, interval: 250 }).toContain(wanted);
}

/** `kubectl port-forward` as it runs. @returns the local port, and what ends it */
async function forward(
  kubectl: Kubectl,
  pod: string,
  port: number,
): Promise<AsyncDisposable & { readonly port: number; readonly child: BackgroundChild }> {
  const { argv, env } = kubectl.commandLine('port-forward', '--address', '127.0.0.1', `pod/${pod}`, `:${port}`);
  const child = new BackgroundChild(argv[0] ?? '', argv.slice(1), { env });
  const [, local] = await child.waitForLog(/Forwarding from 127\.0\.0\.1:(\d+)/);
  return { port: Number(local), child, [Symbol.asyncDispose]: () => child.kill() };
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  return socket.on('error', () => {});
}

/** The first `length` bytes of an echo; more would be an error of it. */
function readBytes(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let got = 0;
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      got += chunk.length;
      if (got >= length) resolve(Buffer.concat(chunks));
    });
    socket.once('close', () => reject(new Error(`the connection ended after ${got} of ${length} bytes`)));
  });
}

function forwarding(behaviour: Behaviour): void {
  behaviour('port-forward carries many connections at once, whole', async (target) => {
    await using loopback = new Loopback();
    const port = await loopback.listen(createServer((socket) => void socket.pipe(socket)));
    await using forwarded = await forward(kubectlOf(target), DEMO_POD.name, port);
    const answers = Array.from({ length: 20 }, async (_, index) => {
      const socket = await dial(forwarded.port);
      const question = Buffer.alloc(300_000 + index, `connection ${index} `);
      socket.write(question);
      const whole = (await readBytes(socket, question.length)).equals(question);
      socket.destroy();
      return whole;
    });
    expect(await Promise.all(answers)).toEqual(answers.map(() => true));
  });

  behaviour('port-forward tells the pod the user’s end, and brings what it says after it', async (target) => {
    await using loopback = new Loopback();
    const port = await loopback.listen(
      createServer({ allowHalfOpen: true }, (socket) => {
        void readAll(socket).then((bytes) => socket.end(`${bytes.length} bytes`));
      }),
    );
    await using forwarded = await forward(kubectlOf(target), DEMO_POD.name, port);
    const socket = await dial(forwarded.port);
    socket.end(Buffer.alloc(100_000));
    expect((await readAll(socket)).toString()).toBe('100000 bytes');
  });

  behaviour('port-forward ends a connection when the pod’s side does', async (target) => {
    await using loopback = new Loopback();
    const port = await loopback.listen(createServer((socket) => void socket.end('goodbye')));
    await using forwarded = await forward(kubectlOf(target), DEMO_POD.name, port);
    for (let time = 0; time < 3; time += 1) {
      expect((await readAll(await dial(forwarded.port))).toString()).toBe('goodbye');
    }
  });

  behaviour('gotcha 83: port-forward says why a port cannot be reached, and ends', async (target) => {
    await using forwarded = await forward(kubectlOf(target), DEMO_POD.name, 1);
    const socket = await dial(forwarded.port);
    socket.write('x');
    await forwarded.child.waitForLog(
      /an error occurred forwarding \d+ -> 1: error forwarding port 1 to pod/,
      DEADLINE_MS,
    );
    socket.destroy();
  });
}

function forwardingIntoPods(behaviour: Behaviour, image: string): void {
  behaviour('port-forward reaches a pod’s own network', async (target) => {
    const container = { image, command: ['httpd', '-f', '-p', '8080', '-h', '/www'] };
    await withPod(target, 'forward-web', { hostNetwork: false, container }, async (kubectl) => {
      await using forwarded = await forward(kubectl, 'forward-web', 8080);
      const answer = await fetch(`http://127.0.0.1:${forwarded.port}/index.html`);
      expect([answer.status, await answer.text()]).toEqual([200, 'podwire\n']);
    });
  });
}

// One hop as a process of its own, with deadlines that the command line does not offer:
// `node hop-main.mjs HOP OPTIONS`, OPTIONS in JSON. Says `ready {…}` on one line, ends cleanly by SIGTERM.
import { createHash } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import { connect } from 'node:net';
import { createStreamingHandler, startApiserver } from '../../dist/apiserver/index.js';
import { exec } from '../../dist/client/index.js';
import { createTransport } from '../../dist/kubeapi/index.js';
import { startKubelet } from '../../dist/kubelet/index.js';
import { startRuntime } from '../../dist/runtime/index.js';

const hops = {
  /** `{ stateDir, streaming }` */
  runtime: async (options) => {
    subscribe('podwire:runtime:mended', ({ path, what }) => console.log(`mended ${path}: ${what}`));
    const runtime = await startRuntime(options);
    const { port } = new URL(runtime.streamingUrl);
    return { ready: { endpoint: runtime.endpoints[0], port: Number(port) }, close: () => runtime.close() };
  },
  /** KubeletOptions but for the functions. */
  kubelet: async (options) => {
    const open = { authenticate: async () => ({ name: 'apiserver', groups: [] }), authorize: async () => true };
    const kubelet = await startKubelet({ ...options, ...open });
    return { ready: { port: kubelet.port }, close: () => kubelet.close(0) };
  },
  /** `{ port, limits }`: plain HTTP, everybody may do everything, kubelets by plain TCP. */
  apiserver: async ({ port, limits }) => {
    const apiserver = await startApiserver({
      insecurePort: port,
      anonymousAuth: true,
      authorizationMode: 'AlwaysAllow',
      shutdownGraceMs: 0,
      requestTimeoutMs: limits.headersTimeoutMs,
      onConnect: createStreamingHandler(
        (location, signal) => dial(location, signal),
        () => {},
        limits,
      ),
    });
    return { ready: { port: apiserver.insecureAddress.port }, close: () => apiserver.close() };
  },
  /** `{ server, ...ExecOptions }`: says `output` at its first bytes and `outcome {…}` at the end. */
  client: async ({ server, ...options }) => {
    const session = await exec({ ...options, api: createTransport({ server: new URL(server) }) });
    const hash = createHash('sha256');
    let bytes = 0;
    session.stdout.on('data', (chunk) => {
      if (bytes === 0) console.log('output');
      bytes += chunk.length;
      hash.update(chunk);
    });
    session.stderr?.resume();
    void session.completed.then(({ kind, code }) => {
      console.log(`outcome ${JSON.stringify({ kind, code, bytes, sha256: hash.digest('hex') })}`);
    });
    return { ready: {}, close: async () => session.abort() };
  },
};

function dial({ host, port }, signal) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true, signal });
    socket.once('error', reject).once('connect', () => {
      socket.off('error', reject).on('error', () => {});
      resolve(socket);
    });
  });
}

const [hop, options] = process.argv.slice(2);
const { ready, close } = await hops[hop](JSON.parse(options));
console.log(`ready ${JSON.stringify(ready)}`);
process.once('SIGTERM', () => void close().then(() => process.exit(0)));

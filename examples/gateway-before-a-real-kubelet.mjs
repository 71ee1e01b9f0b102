// node examples/gateway-before-a-real-kubelet.mjs https://NODE:10250 CLIENT.crt CLIENT.key [CA.crt]
//
// podwire's apiserver before a kubelet that has none, or not this one: kubectl and podwire exec into the node's pods with
// a kubeconfig of the gateway, and the gateway alone holds the certificate that the kubelet trusts. ctrl-C ends it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const [node = '', certificate = '', key = '', ca] = process.argv.slice(2);
const kubelet = new URL(node);
const folder = mkdtempSync(join(tmpdir(), 'podwire-gateway-'));
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const flags = ['--cert-dir', folder, '--secure-port', '0', '--kubelet-client-certificate', certificate];
flags.push('--kubelet-client-key', key, ...(ca === undefined ? [] : ['--kubelet-certificate-authority', ca]));

/** One request with a client certificate; the answer's JSON. 409 to a POST: it is there already. */
async function call(url, [cert, keyFile, caFile], method = 'GET', body) {
  const tls = { cert: readFileSync(cert), key: readFileSync(keyFile), ca: caFile && readFileSync(caFile) };
  const headers = { 'content-type': 'application/json' };
  const request = https.request(url, { ...tls, rejectUnauthorized: caFile !== undefined, method, headers });
  request.end(body && JSON.stringify(body));
  const [response] = await once(request, 'response');
  const text = (await response.setEncoding('utf8').toArray()).join('');
  if (response.statusCode < 300 || response.statusCode === 409) return JSON.parse(text);
  throw new Error(`${url} answered ${response.statusCode}: ${text}`);
}

const gateway = spawn(process.execPath, [main, 'apiserver', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
gateway.once('exit', (code) => {
  rmSync(folder, { recursive: true });
  process.exit(code ?? 1);
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => gateway.kill(signal));
for await (const line of createInterface({ input: gateway.stdout })) {
  const [word, url] = line.split(' ');
  if (word === 'kubeconfig') process.stdout.write(`kubeconfig ${url}\n`);
  if (word !== 'ready') continue;
  const admin = [join(folder, 'admin.crt'), join(folder, 'admin.key'), join(folder, 'ca', 'ca.crt')];
  const add = (path, object) => call(`${url}/api/v1/${path}`, admin, 'POST', object);
  const addresses = [{ type: 'Hostname', address: kubelet.hostname }];
  const status = { addresses, daemonEndpoints: { kubeletEndpoint: { Port: Number(kubelet.port) } } };
  await add('nodes', { metadata: { name: hostname() }, status });
  for (const { metadata, spec } of (await call(`${kubelet.origin}/pods`, [certificate, key, ca])).items) {
    await add('namespaces', { metadata: { name: metadata.namespace } });
    const { name, namespace, labels, annotations } = metadata;
    const pod = { metadata: { name, namespace, labels, annotations }, spec: { ...spec, nodeName: hostname() } };
    await add(`namespaces/${namespace}/pods`, pod);
  }
  process.stdout.write(`ready ${url}\n`);
}

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadClientConfig } from '../kubeapi/index.ts';
import { CertificateAuthority, certificateContent, ReloadingTls } from '../pki/index.ts';
import { CertificateFolder } from './certificate-folder.ts';

const DAY_MS = 86_400_000;

let path: string;
let folder: CertificateFolder;

beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'podwire-certs-')), 'pki');
  folder = new CertificateFolder(path);
});
afterEach(() => {
  rmSync(join(path, '..'), { recursive: true });
});

function serial(name: string): string {
  return new X509Certificate(readFileSync(join(path, `${name}.crt`))).serialNumber;
}

/** Every file and folder with its mode. */
function modes(below = path): Record<string, string> {
  return Object.fromEntries(
    readdirSync(below, { recursive: true, encoding: 'utf8' }).map((name) => [
      name,
      (statSync(join(below, name)).mode & 0o777).toString(8),
    ]),
  );
}

it('gives each host and each person one folder, that only its owner reads', async () => {
  expect(await folder.issueApiserver(['192.0.2.11', 'api.example'])).toBe(join(path, 'apiserver'));
  await folder.issueNode('n1', ['192.0.2.12', '2001:db8::12']);
  await folder.issueUser('ada', ['system:masters', 'dev']);
  const found = modes();
  const keys = Object.keys(found).filter((name) => /\.key$|kubeconfig$/.test(name));
  expect(keys).toHaveLength(8);
  expect(keys.map((name) => found[name])).toEqual(keys.map(() => '600'));
  for (const name of ['ca', 'apiserver', 'nodes', 'nodes/n1', 'users', 'users/ada']) expect(found[name]).toBe('700');
  const listed = Object.fromEntries((await folder.list()).map(({ name, content }) => [name, content]));
  expect(Object.keys(listed)).toEqual([
    'ca/ca',
    'apiserver/apiserver-kubelet-client',
    'apiserver/apiserver',
    'nodes/n1/kubelet-client',
    'nodes/n1/kubelet',
    'users/ada/client',
  ]);
  expect(listed['apiserver/apiserver']?.hosts.slice(0, 3)).toEqual(['192.0.2.11', 'api.example', 'localhost']);
  expect(listed['apiserver/apiserver-kubelet-client']).toMatchObject({
    organizations: ['system:masters'],
    usages: ['client'],
  });
  const node = { commonName: 'system:node:n1', organizations: ['system:nodes'] };
  expect(listed['nodes/n1/kubelet']).toMatchObject({ ...node, usages: ['server'] });
  expect(listed['nodes/n1/kubelet-client']).toMatchObject({ ...node, usages: ['client'], hosts: [] });
  const serving = new X509Certificate(readFileSync(join(path, 'nodes/n1/kubelet.crt')));
  expect(['192.0.2.12', '2001:db8::12', '127.0.0.1'].map((ip) => serving.checkIP(ip))).not.toContain(undefined);
  expect(listed['users/ada/client']).toMatchObject({ commonName: 'ada', organizations: ['system:masters', 'dev'] });
});

it("a node's kubeconfig follows the files beside it, a person's stands alone; both name the apiserver", async () => {
  await folder.issueApiserver(['2001:db8::11', '192.0.2.11']);
  await folder.issueNode('n1', ['192.0.2.12']);
  await folder.issueUser('ada', ['dev'], { server: 'https://api.example:443' });
  const node = await loadClientConfig({ kubeconfig: join(path, 'nodes/n1/kubeconfig') });
  expect(node.server.href).toBe('https://[2001:db8::11]:6443/');
  expect(node.clientCertificate).toEqual({ file: join(path, 'nodes/n1/kubelet-client.crt') });
  expect(node.certificateAuthority).toEqual({ file: join(path, 'nodes/n1/ca.crt') });
  const person = await loadClientConfig({ kubeconfig: join(path, 'users/ada/kubeconfig') });
  expect(person.server.hostname).toBe('api.example');
  expect(person.clientCertificate).toEqual({ pem: readFileSync(join(path, 'users/ada/client.crt'), 'utf8') });
});

it('replaces nothing unasked, and issues by the same authority when asked', async () => {
  await folder.issueApiserver(['192.0.2.11']);
  await folder.issueNode('n1', ['192.0.2.12']);
  await folder.issueUser('ada', ['dev']);
  const exists = { code: 'ERR_CERTIFICATE_EXISTS', message: expect.stringContaining('is there already') };
  const [ca, before] = [serial('ca/ca'), serial('nodes/n1/kubelet')];
  await expect(folder.issueApiserver(['192.0.2.99'])).rejects.toMatchObject(exists);
  await expect(folder.issueNode('n1', ['192.0.2.99'])).rejects.toMatchObject(exists);
  await expect(folder.issueUser('ada', ['ops'])).rejects.toMatchObject(exists);
  expect(serial('nodes/n1/kubelet')).toBe(before);
  await folder.issueNode('n1', ['192.0.2.99'], { overwrite: true });
  expect(serial('nodes/n1/kubelet')).not.toBe(before);
  expect(serial('ca/ca')).toBe(ca);
  const content = certificateContent(readFileSync(join(path, 'nodes/n1/kubelet.crt'), 'utf8'));
  expect(content.hosts).toContain('192.0.2.99');
});

it('issues nothing for a node or a person without an authority', async () => {
  const none = { code: 'ERR_CERTIFICATE', message: expect.stringContaining('begin with `podwire certs apiserver') };
  await expect(folder.issueNode('n1', ['192.0.2.12'])).rejects.toMatchObject(none);
  await expect(folder.issueUser('ada', ['dev'])).rejects.toMatchObject(none);
  await expect(folder.list()).rejects.toMatchObject(none);
  await expect(folder.renew()).rejects.toMatchObject(none);
});

it('renews what is due or what is named, and changes nothing that it says', async () => {
  await folder.issueApiserver(['192.0.2.11']);
  await folder.issueNode('n1', ['192.0.2.12'], { validForMs: DAY_MS });
  await folder.issueUser('ada', ['dev'], { server: 'https://api.example:443' });
  expect(await folder.renew()).toEqual([]);
  const content = (): unknown =>
    JSON.parse(JSON.stringify(certificateContent(readFileSync(join(path, 'users/ada/client.crt'), 'utf8'))));
  const [was, kubelet] = [content(), serial('nodes/n1/kubelet')];
  expect(await folder.renew({ names: ['users/ada'] })).toEqual(['users/ada/client']);
  expect({ ...Object(content()), validFrom: 0, validTo: 0 }).toEqual({ ...Object(was), validFrom: 0, validTo: 0 });
  const { server, clientCertificate } = await loadClientConfig({ kubeconfig: join(path, 'users/ada/kubeconfig') });
  expect(server.hostname).toBe('api.example');
  expect(clientCertificate).toEqual({ pem: readFileSync(join(path, 'users/ada/client.crt'), 'utf8') });
  expect(serial('nodes/n1/kubelet')).toBe(kubelet);
  await folder.issueNode('n2', ['192.0.2.13'], { validForMs: -1000 });
  expect((await folder.list()).filter(({ isDue }) => isDue).map(({ name }) => name)).toEqual([
    'nodes/n2/kubelet-client',
    'nodes/n2/kubelet',
  ]);
  expect(await folder.renew()).toEqual(['nodes/n2/kubelet-client', 'nodes/n2/kubelet']);
  expect(await folder.renew({ all: true })).toHaveLength(7);
  expect(serial('nodes/n1/kubelet')).not.toBe(kubelet);
  await expect(folder.renew({ names: ['nodes/n3'] })).rejects.toThrow('there is no certificate "nodes/n3"');
  const pair = { certificateFile: join(path, 'nodes/n1/kubelet.crt'), keyFile: join(path, 'nodes/n1/kubelet.key') };
  (await ReloadingTls.load({ ...pair, caFile: join(path, 'nodes/n1/ca.crt') })).close();
});

it('an authority that is due is renewed, and handed out to every folder', async () => {
  const short = await CertificateAuthority.create('podwire-ca', DAY_MS);
  await folder.issueApiserver(['192.0.2.11']);
  writeFileSync(join(path, 'ca/ca.crt'), short.certificate);
  writeFileSync(join(path, 'ca/ca.key'), short.key);
  await folder.renew({ all: true });
  const due = await short.renew(-1000);
  writeFileSync(join(path, 'ca/ca.crt'), due.certificate);
  expect(await folder.renew()).toEqual(['apiserver/ca']);
  expect(readFileSync(join(path, 'apiserver/ca.crt'), 'utf8')).toBe(readFileSync(join(path, 'ca/ca.crt'), 'utf8'));
  const authority = new X509Certificate(readFileSync(join(path, 'apiserver/ca.crt')));
  const leaf = new X509Certificate(readFileSync(join(path, 'apiserver/apiserver.crt')));
  expect(leaf.verify(authority.publicKey)).toBe(true);
});

import { isIP } from 'node:net';
import { join } from 'node:path';
import type { CertificateFolder, ListedCertificate } from '../cluster/index.ts';
import type { Table } from '../kubeapi/index.ts';
import { type ArgumentRequest, defineCommand, type Suggestions } from './command.ts';
import { boolFlag, durationFlag, listFlag, stringFlag } from './flag.ts';
import type { Io } from './io.ts';
import { nearest } from './nearest.ts';
import { makeStateFolder, stateFolder } from './state-folder.ts';
import { UsageError } from './usage-error.ts';

const flags = {
  'cert-dir': stringFlag({
    value: 'DIR',
    source: 'folder',
    help: 'the folder of the authority and of all that it issued; keep it safe',
    shownDefault: "the user's state folder, pki",
  }),
  server: stringFlag({
    short: 's',
    value: 'URL',
    help: 'node, user: the apiserver for the kubeconfig',
    shownDefault: "https:// with the first ADDRESS of the apiserver's certificate and port 6443",
  }),
  group: listFlag({
    value: 'GROUP,…',
    split: true,
    help: 'user: its groups; system:masters may do everything, others discover the API only',
  }),
  'valid-for': durationFlag({
    help: "how long; never beyond the authority's own end, ten years from its making",
    shownDefault: '8760h',
  }),
  overwrite: boolFlag({ help: 'apiserver, node, user: issue anew what is there, by the same authority' }),
  all: boolFlag({ help: 'renew: those too that are not due' }),
} as const;

const verbs = ['apiserver', 'node', 'user', 'ls', 'renew'] as const;
type Verb = (typeof verbs)[number];

/** The verbs for which a flag means something. */
const flagVerbs: Readonly<Record<string, readonly Verb[]>> = {
  server: ['node', 'user'],
  group: ['user'],
  'valid-for': ['apiserver', 'node', 'user', 'renew'],
  overwrite: ['apiserver', 'node', 'user'],
  all: ['renew'],
};

interface CertsOptions {
  readonly verb: string;
  readonly words: readonly string[];
  readonly given: ReadonlySet<string>;
  readonly certDir: string;
  readonly server: string | undefined;
  readonly groups: readonly string[];
  readonly validForMs: number | undefined;
  readonly overwrite: boolean;
  readonly all: boolean;
}

export const certsCommand = defineCommand({
  name: 'certs',
  summary: 'Certificates and kubeconfigs for hops on machines of their own',
  usage: '(apiserver ADDRESS… | node NAME ADDRESS… | user NAME --group GROUP | ls | renew [NAME…]) [flags]',
  description: `
Makes an authority and what the apiserver, each node and each user need of it: one folder each, to be copied
whole to where it is needed. ADDRESS is what the others call the machine: an IP address or a host name. renew
issues anew what is due, or what is named, and says what to copy again; hops that run take it up by themselves.
Whoever reads ca/ca.key can be everybody: it stays in --cert-dir, and no hop needs it.`,
  examples: [
    { about: 'the authority, and apiserver/ for the apiserver', line: 'podwire certs apiserver 192.0.2.11' },
    { about: 'nodes/host2/ for the kubelet of host2', line: 'podwire certs node host2 192.0.2.12' },
    { about: 'users/ada/kubeconfig for kubectl', line: 'podwire certs user ada --group system:masters' },
    { about: 'what there is, and until when', line: 'podwire certs ls' },
    { about: 'everything of one node, due or not', line: 'podwire certs renew nodes/host2' },
  ],
  groups: [{ title: 'Options', flags }],
  flags,
  complete: ({ args: [verb = '', ...words], values, given }, io): CertsOptions => ({
    verb: verb === 'list' ? 'ls' : verb,
    words,
    given,
    certDir: certDirOf(values['cert-dir'], io),
    server: values.server,
    groups: values.group.filter((group) => group !== ''),
    validForMs: values['valid-for'],
    overwrite: values.overwrite,
    all: values.all,
  }),
  validate: (options) => {
    const { verb, words, given, server, groups, validForMs } = options;
    if (verb === '') throw new UsageError(`you must say what to do with certificates: ${verbs.join(', ')}`);
    if (!isVerb(verb)) {
      const [meant] = nearest(verb, verbs);
      const hint = meant === undefined ? `there are ${verbs.join(', ')}` : `did you mean ${meant}?`;
      throw new UsageError(`podwire certs does not know ${JSON.stringify(verb)}: ${hint}`);
    }
    for (const [flag, owners] of Object.entries(flagVerbs)) {
      if (given.has(flag) && !owners.includes(verb)) {
        throw new UsageError(`--${flag} is for certs ${owners.join(', ')}`);
      }
    }
    if (server !== undefined) checkServer(server);
    if (validForMs !== undefined && validForMs < 60_000) throw new UsageError('--valid-for must be 1m or longer');
    checkWords[verb](words);
    if (verb === 'user' && groups.length === 0) {
      throw new UsageError('certs user needs --group: system:masters may do everything, others discover the API only');
    }
  },
  run: async (options, io) => {
    const { CertificateFolder } = await import('../cluster/index.ts');
    if (options.verb !== 'ls') await makeStateFolder(options.certDir);
    const folder = new CertificateFolder(options.certDir);
    await runs[options.verb as Verb](folder, options, io);
    return 0;
  },
  suggest,
});

function isVerb(word: string): word is Verb {
  return (verbs as readonly string[]).includes(word);
}

function certDirOf(given: string | undefined, io: Io): string {
  return given ?? join(stateFolder(io), 'pki');
}

function checkServer(server: string): void {
  if (URL.canParse(server) && new URL(server).protocol === 'https:') return;
  throw new UsageError(`--server ${JSON.stringify(server)} is no https URL, such as https://192.0.2.11:6443`);
}

const checkWords: Readonly<Record<Verb, (words: readonly string[]) => void>> = {
  apiserver: (words) => checkAddresses('certs apiserver needs an ADDRESS: what clients and nodes call it', words),
  node: ([name, ...words]) => {
    if (name === undefined) throw new UsageError('certs node needs the NAME of the node and its ADDRESS');
    if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name)) {
      const rule = "lower case letters, digits, '-' and '.', as --hostname-override has it";
      throw new UsageError(`${JSON.stringify(name)} is no name of a node: ${rule}`);
    }
    checkAddresses(`certs node ${name} needs an ADDRESS: what the apiserver calls it`, words);
  },
  user: ([name, ...more]) => {
    if (name === undefined || more.length > 0) throw new UsageError('certs user needs one NAME');
    if (!/^[A-Za-z0-9][-\w.@+]{0,62}$/.test(name)) {
      const rule = 'letters, digits and - _ . @ +, 63 at most';
      throw new UsageError(`${JSON.stringify(name)} is no name for a user here: ${rule}`);
    }
  },
  ls: (words) => {
    if (words.length > 0) throw new UsageError('certs ls takes no argument');
  },
  renew: () => undefined,
};

function checkAddresses(missing: string, words: readonly string[]): void {
  if (words.length === 0) throw new UsageError(missing);
  for (const word of words) {
    if (word === '0.0.0.0' || word === '::') {
      throw new UsageError(`${word} is where a server listens: name the address that others call`);
    }
    const labels = word.replace(/^\*\./, '').split('.');
    const isName = labels.every((label) => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(label));
    // What looks like an address and is none would be taken for a name that nobody has.
    if (isIP(word) === 0 && (!isName || /^\d+$/.test(labels.at(-1) ?? ''))) {
      throw new UsageError(`${JSON.stringify(word)} is no address: give 192.0.2.11 or host1, without scheme and port`);
    }
  }
}

type Run = (folder: CertificateFolder, options: CertsOptions, io: Io) => Promise<void>;

const runs: Readonly<Record<Verb, Run>> = {
  apiserver: async (folder, options, io) => {
    io.out.write(`issued ${await folder.issueApiserver(options.words, options)}\n`);
  },
  node: async (folder, options, io) => {
    const [name = '', ...hosts] = options.words;
    io.out.write(`issued ${await folder.issueNode(name, hosts, options)}\n`);
  },
  user: async (folder, options, io) => {
    const [name = ''] = options.words;
    const issued = await folder.issueUser(name, options.groups, options);
    io.out.write(`issued ${issued}\nkubeconfig ${join(issued, 'kubeconfig')}\n`);
  },
  ls: async (folder, _options, io) => {
    const { formatTable } = await import('../kubeapi/index.ts');
    io.out.write(formatTable(tableOf(await folder.list())));
  },
  renew: async (folder, { words: names, all, validForMs }, io) => {
    const renewed = await folder.renew({ names, all, validForMs });
    for (const name of renewed) io.out.write(`renewed ${join(folder.path, name)}\n`);
    if (renewed.length > 0) return;
    const [next] = (await folder.list()).sort(byEnd);
    const when = next === undefined ? '' : `: ${next.name} ends first, ${dateOf(next.content.validTo)}`;
    io.out.write(`nothing is due${when}\n`);
  },
};

function byEnd(one: ListedCertificate, other: ListedCertificate): number {
  return one.content.validTo.getTime() - other.content.validTo.getTime();
}

function tableOf(certificates: readonly ListedCertificate[]): Pick<Table, 'columnDefinitions' | 'rows'> {
  const columnDefinitions = ['name', 'user', 'groups', 'addresses', 'ends', 'state'].map((name) => ({
    name,
    type: 'string' as const,
    format: '',
    description: '',
    priority: 0,
  }));
  const rows = certificates.map(({ name, content, isDue }) => {
    const { commonName, organizations, hosts, validTo } = content;
    const state = validTo.getTime() < Date.now() ? 'expired' : isDue ? 'due' : 'good';
    const cells = [name, commonName, organizations.join(','), hosts.join(','), dateOf(validTo), state];
    return { cells: cells.map((cell) => cell || '-') };
  });
  return { columnDefinitions, rows };
}

function dateOf(date: Date): string {
  return date.toISOString().slice(0, 16).replace('T', ' ');
}

async function suggest({ line, io }: ArgumentRequest): Promise<Suggestions> {
  const [verb, ...before] = line.args;
  if (verb === undefined) {
    return [
      'apiserver\tthe authority, and what the apiserver needs',
      "node\twhat a node's kubelet needs",
      'user\ta kubeconfig for a person',
      'ls\tshow what there is, and until when',
      'renew\tissue anew what is due',
    ];
  }
  if (verb !== 'renew') return [];
  const { CertificateFolder } = await import('../cluster/index.ts');
  const given = line.values as { readonly 'cert-dir'?: string };
  const listed = await new CertificateFolder(certDirOf(given['cert-dir'], io)).list();
  const names = listed.map(({ name }) => name).filter((name) => name !== 'ca/ca');
  const folders = names.map((name) => name.slice(0, name.lastIndexOf('/')));
  return [...new Set([...folders, ...names])].filter((name) => !before.includes(name));
}

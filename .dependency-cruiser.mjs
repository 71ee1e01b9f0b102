// Imports point down this table; folders in one row never import each other: hops meet on the wire.
const rows = [
  ['common'],
  ['httpstream', 'grpc', 'kubeapi', 'pki'],
  ['remotecommand', 'portforward', 'identity', 'cri', 'store'],
  ['client', 'webterminal', 'apiserver', 'kubelet', 'runtime'],
  ['cluster'],
  ['cli'],
];

const downward = rows.flatMap((row, level) =>
  row.map((folder) => ({
    name: `${folder}-imports-downward`,
    severity: 'error',
    comment: 'Imports point down the table in ARCHITECTURE.md; hops meet on the wire.',
    from: { path: `^src/${folder}/`, pathNot: '\\.test\\.ts$' },
    to: { path: '^src/', pathNot: `^src/(${[folder, ...rows.slice(0, level).flat()].join('|')})/` },
  })),
);

const doors = {
  name: 'doors-only',
  severity: 'error',
  comment: 'A folder is entered by its index.ts (common/ file by file).',
  from: { path: '^src/([^/]+)/', pathNot: '\\.test\\.ts$' },
  to: { path: '^src/[^/]+/', pathNot: ['^src/$1/', '^src/common/', '^src/[^/]+/index\\.ts$'] },
};

const owners = [
  ['ws', 'httpstream'],
  ['pako', 'httpstream'],
  // cri serves as well; the messages of each protocol are made by this package's generator.
  ['@grpc/grpc-js', 'grpc', 'cri'],
  ['@bufbuild/protobuf', 'grpc', 'cri', 'store'],
  ['classic-level', 'store'],
  ['@lydell/node-pty', 'runtime'],
  ['yaml', 'kubeapi'],
  ['@peculiar/x509', 'pki'],
].map(([name, ...folders]) => ({
  name: `${name}-belongs-to-${folders.join('-and-')}`,
  severity: 'error',
  comment: 'A third-party package belongs to one folder, which gives its service to the others under its own name.',
  from: { path: '^src/', pathNot: [`^src/(${folders.join('|')})/`, '\\.test\\.ts$'] },
  to: { path: `^node_modules/${name}/` },
}));

const portable = {
  name: 'common-runs-anywhere',
  severity: 'error',
  comment: 'common/ is shared with browsers: no node: module, no package.',
  from: { path: '^src/common/', pathNot: '\\.test\\.ts$' },
  to: { dependencyTypes: ['core', 'npm', 'npm-optional'] },
};

const cycles = {
  name: 'no-cycles',
  severity: 'error',
  comment: 'Files form a hierarchy.',
  from: { path: '^src/' },
  to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
};

export default {
  forbidden: [...downward, doors, ...owners, portable, cycles],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|src/(cri|store)/gen)/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
};

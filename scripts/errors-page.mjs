// Writes docs/errors.md from the error table; `npm run build` first.
import { writeFile } from 'node:fs/promises';
import { errorTable } from '../dist/common/errors.js';

const rows = Object.entries(errorTable).map(
  ([code, { reason, http, help }]) => `| \`${code}\` | ${help} | ${reason} | ${http} |`,
);
await writeFile(
  new URL('../docs/errors.md', import.meta.url),
  `# Errors

Every failure that podwire raises on purpose has a code; the message beside it quotes what was wrong and names the hop.
Callers match on the code. Over HTTP it becomes a Kubernetes Status with this reason and status code.

| code | the rule | reason | HTTP |
|---|---|---|---|
${rows.join('\n')}
`,
);

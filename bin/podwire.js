#!/usr/bin/env node
// Here before the build is: npm links only what it finds, and npx never looks again.
import { existsSync } from 'node:fs';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (!existsSync(main)) {
  process.stderr.write('error: podwire is not built yet: npm run build\n');
  process.exit(1);
}
await import(main.href);

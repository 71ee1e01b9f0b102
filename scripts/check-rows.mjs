// Holds the import table of ARCHITECTURE.md. Fails too when the cruiser saw no module: then it checked nothing.
import { cruise } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import config from '../.dependency-cruiser.mjs';

const { output } = await cruise(
  ['src'],
  { ...config.options, ruleSet: { forbidden: config.forbidden }, validate: true },
  undefined,
  { tsConfig: extractTSConfig('tsconfig.json') },
);
for (const { rule, from, to } of output.summary.violations) {
  console.error(`${rule.name}: ${from} -> ${to}`);
}
console.log(`${output.summary.totalCruised} modules, ${output.summary.violations.length} violations`);
if (output.summary.totalCruised === 0) console.error('no module was cruised: is the TypeScript 6 API installed?');
process.exitCode = output.summary.totalCruised === 0 || output.summary.error > 0 ? 1 : 0;

import { type Bench, BenchFlags } from './bench.ts';
import { echoBench } from './echo.ts';
import { latencyBench } from './latency.ts';
import { memoryBench } from './memory.ts';
import { objectsBench } from './objects.ts';
import { rateBench } from './rate.ts';
import { relayBench } from './relay.ts';
import { runtimeBench } from './runtime.ts';
import { markdownOf } from './table.ts';
import { throughputBench } from './throughput.ts';

const benches: readonly Bench[] = [
  relayBench,
  throughputBench,
  latencyBench,
  echoBench,
  memoryBench,
  objectsBench,
  rateBench,
  runtimeBench,
];

const [name, ...args] = process.argv.slice(2);
const chosen = name === undefined ? benches : benches.filter((bench) => bench.name === name);
if (chosen.length === 0) {
  const lines = benches.map((bench) => {
    const flags = Object.entries(bench.flags).map(([flag, value]) => `--${flag} ${value}`);
    return `  ${bench.name}: ${bench.about} (${flags.join(' ')})`;
  });
  console.error(`there is no bench ${JSON.stringify(name)}, there are:\n${lines.join('\n')}`);
  process.exitCode = 2;
}
for (const bench of chosen) {
  await bench.run(BenchFlags.parse(bench.flags, args), {
    say: (text) => console.error(`${bench.name}: ${text}`),
    show: (table) => console.log(markdownOf(table)),
  });
}

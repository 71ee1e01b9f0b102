import { expect, it } from 'vitest';
import { events } from '../kubeapi/index.ts';
import { MemoryStore } from '../store/index.ts';
import { EventRecorder } from './event-recorder.ts';
import { Registry } from './registry.ts';
import { allResources } from './resources.ts';

it('events are listed in the order in which they happened', async () => {
  const registry = new Registry(new MemoryStore(), allResources());
  await registry.createLastingNamespaces();
  const problems: Error[] = [];
  const recorder = new EventRecorder(registry, 'test', (problem) => problems.push(problem));
  const messages = Array.from({ length: 20 }, (_, at) => `message ${at}`);
  const web = { metadata: { name: 'web', namespace: 'default', uid: 'u' } };
  for (const message of messages) await recorder.record('Pod', web, { type: 'Normal', reason: 'Tested', message });
  const { items } = await registry.list(events, { namespace: 'default' });
  expect(items.map((event) => event['message'])).toEqual(messages);
  expect(problems).toEqual([]);
  await registry.close();
});

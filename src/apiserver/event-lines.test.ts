import { expect, it } from 'vitest';
import { EventLines } from './event-lines.ts';

const object = (name: string) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name } });

it('makes the line of an event once, and another one for those who see it as another type', () => {
  const lines = new EventLines();
  const pod = object('web');
  const line = lines.lineOf({ type: 'MODIFIED', object: pod });
  expect(line.toString()).toBe(`${JSON.stringify({ type: 'MODIFIED', object: pod })}\n`);
  expect(lines.lineOf({ type: 'MODIFIED', object: pod })).toBe(line);
  expect(JSON.parse(lines.lineOf({ type: 'ADDED', object: pod }).toString())).toEqual({ type: 'ADDED', object: pod });
});

it('forgets the oldest of many', () => {
  const lines = new EventLines();
  const pod = object('web');
  const line = lines.lineOf({ type: 'ADDED', object: pod });
  for (let n = 0; n < 200; n += 1) lines.lineOf({ type: 'ADDED', object: object(`pod-${n}`) });
  expect(lines.lineOf({ type: 'ADDED', object: pod })).not.toBe(line);
});

import { expect, it } from 'vitest';
import { deferred } from './deferred.ts';
import { SingleFlight } from './single-flight.ts';

function flights(): { readonly flight: SingleFlight<number>; readonly ends: ReturnType<typeof deferred<number>>[] } {
  const ends: ReturnType<typeof deferred<number>>[] = [];
  const flight = new SingleFlight(() => {
    const end = deferred<number>();
    ends.push(end);
    return end.promise;
  });
  return { flight, ends };
}

it('does the work once for all who ask while it is under way', async () => {
  const { flight, ends } = flights();
  const both = Promise.all([flight.run(), flight.run()]);
  ends[0]?.resolve(7);
  expect(await both).toEqual([7, 7]);
  expect(ends).toHaveLength(1);
});

it('begins anew for who asks afterwards', async () => {
  const { flight, ends } = flights();
  const first = flight.run();
  ends[0]?.resolve(1);
  await first;
  const second = flight.run();
  ends[1]?.resolve(2);
  expect(await second).toBe(2);
});

it('fails for all who wait, and for nobody who comes later', async () => {
  const { flight, ends } = flights();
  const both = Promise.allSettled([flight.run(), flight.run()]);
  const settled = flight.settled();
  ends[0]?.reject(new Error('no'));
  expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await settled;
  const next = flight.run();
  ends[1]?.resolve(3);
  expect(await next).toBe(3);
});

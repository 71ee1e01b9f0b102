import { expect, it } from 'vitest';
import { mountPointsBelow } from './mount-table.ts';

const table = [
  '22 1 0:21 / / rw - ext4 /dev/vda rw',
  '23 22 0:22 / /a rw - tmpfs one rw',
  '24 23 0:23 / /a/b\\040c\\134d rw,relatime shared:1 - tmpfs two rw',
  '25 22 0:24 / /ab rw - tmpfs three rw',
  '',
].join('\n');

it('finds what is mounted at a folder and below, in order and spelled out, and nothing beside it', () => {
  expect(mountPointsBelow(table, '/a')).toEqual(['/a', '/a/b c\\d']);
  expect(mountPointsBelow(table, '/a/b c\\d')).toEqual(['/a/b c\\d']);
  expect(mountPointsBelow(table, '/b')).toEqual([]);
});

it('finds nothing in an empty table: a system without /proc', () => {
  expect(mountPointsBelow('', '/a')).toEqual([]);
});

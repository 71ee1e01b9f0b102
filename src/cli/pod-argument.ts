import { UsageError } from './usage-error.ts';

/**
 * The pod's name in `POD`, `pod/POD`, `pods/POD` or `po/POD`.
 *
 * @throws UsageError for nothing, or another kind of object
 */
export function podNameOf(argument: string): string {
  if (argument === '') throw new UsageError('a pod must be specified');
  const [kind = '', name, ...more] = argument.split('/');
  if (name === undefined) return kind;
  if (['pod', 'pods', 'po'].includes(kind) && name !== '' && more.length === 0) return name;
  throw new UsageError(`${JSON.stringify(argument)} is no pod: commands run in pods, named POD or pod/POD`);
}

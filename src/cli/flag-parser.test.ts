import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boolFlag, choiceFlag, durationFlag, intFlag, listFlag, stringFlag } from './flag.ts';
import { parseFlags } from './flag-parser.ts';
import { UsageError } from './usage-error.ts';

const flags = {
  stdin: boolFlag({ short: 'i', help: '' }),
  tty: boolFlag({ short: 't', help: '' }),
  namespace: stringFlag({ short: 'n', help: '' }),
  'as-group': listFlag({ help: '' }),
  labels: listFlag({ help: '', split: true }),
  port: intFlag({ short: 'p', help: '', min: 0, max: 65_535 }),
  wait: durationFlag({ help: '' }),
  transport: choiceFlag(['auto', 'spdy'], { help: '' }),
} as const;

/** What differs from the defaults, and the arguments. */
function parse(argv: readonly string[]): Record<string, unknown> {
  const { values, given, args, beforeDash } = parseFlags(flags, argv);
  const shown = Object.fromEntries([...given].map((name) => [name, (values as Record<string, unknown>)[name]]));
  return { ...shown, args, ...(beforeDash === undefined ? {} : { beforeDash }) };
}

describe('flags are read as by pflag', () => {
  it.each<[string[], Record<string, unknown>]>([
    [['-it', 'p', '--', 'ls', '-la'], { stdin: true, tty: true, args: ['p', 'ls', '-la'], beforeDash: 1 }],
    [['p', '-i', '-n', 'ns'], { stdin: true, namespace: 'ns', args: ['p'] }],
    [['-n=ns', 'p'], { namespace: 'ns', args: ['p'] }],
    [['-nns', 'p'], { namespace: 'ns', args: ['p'] }],
    [['-itnns', 'p'], { stdin: true, tty: true, namespace: 'ns', args: ['p'] }],
    [['-itn', 'ns', 'p'], { stdin: true, tty: true, namespace: 'ns', args: ['p'] }],
    [['--stdin=true', '--tty=false', 'p'], { stdin: true, tty: false, args: ['p'] }],
    [['--stdin', 'false'], { stdin: true, args: ['false'] }],
    [['-it=false'], { stdin: true, tty: false, args: [] }],
    [['-i=0', '--tty=T'], { stdin: false, tty: true, args: [] }],
    [['--namespace', 'ns'], { namespace: 'ns', args: [] }],
    [['--namespace', '--stdin'], { namespace: '--stdin', args: [] }],
    [['-n', '-it', 'p'], { namespace: '-it', args: ['p'] }],
    [['--namespace='], { namespace: '', args: [] }],
    [['-n='], { namespace: '=', args: [] }],
    [['--namespace=a=b'], { namespace: 'a=b', args: [] }],
    [['--namespace=a', '-nb'], { namespace: 'b', args: [] }],
    [['--as-group=a,b', '--as-group', 'c'], { 'as-group': ['a,b', 'c'], args: [] }],
    [['--labels=a=1,b=2', '--labels', 'c=3'], { labels: ['a=1', 'b=2', 'c=3'], args: [] }],
    [['--labels="a,b",c,"d""e"', '--labels='], { labels: ['a,b', 'c', 'd"e'], args: [] }],
    [['--labels=a,'], { labels: ['a', ''], args: [] }],
    [['--as_group=a'], { 'as-group': ['a'], args: [] }],
    [['p', '--', 'a', '--', 'b'], { args: ['p', 'a', '--', 'b'], beforeDash: 1 }],
    [['--', '-i'], { args: ['-i'], beforeDash: 0 }],
    [['--'], { args: [], beforeDash: 0 }],
    [['-', ''], { args: ['-', ''] }],
    [['--wait=1m30s', '-p0x10'], { wait: 90_000, port: 16, args: [] }],
    [['--transport', 'spdy'], { transport: 'spdy', args: [] }],
  ])('%j', (argv, result) => {
    expect(parse(argv)).toEqual(result);
  });

  it.each([
    [['--bogus'], 'unknown flag: --bogus'],
    [['--bogus=1'], 'unknown flag: --bogus'],
    [['--toString'], 'unknown flag: --toString'],
    [['-z'], "unknown shorthand flag: 'z' in -z"],
    [['-itz', 'web'], "unknown shorthand flag: 'z' in -z"],
    [['-i='], "unknown shorthand flag: '=' in -="],
    [['--namespace'], 'flag needs an argument: --namespace'],
    [['-n'], "flag needs an argument: 'n' in -n"],
    [['-itn'], "flag needs an argument: 'n' in -itn"],
    [['--=x'], 'bad flag syntax: --=x'],
    [['---x'], 'bad flag syntax: ---x'],
    [
      ['--stdin=maybe'],
      'invalid argument "maybe" for "-i, --stdin" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [['-p', 'x'], 'invalid argument "x" for "-p, --port" flag: strconv.ParseInt: parsing "x": invalid syntax'],
    [['-p', '65536'], 'invalid argument "65536" for "-p, --port" flag: must be from 0 to 65535'],
    [['--wait=5'], 'invalid argument "5" for "--wait" flag: time: invalid duration "5"'],
    [['--transport=tcp'], 'invalid argument "tcp" for "--transport" flag: must be one of auto, spdy'],
  ])('%j is refused: %s', (argv, message) => {
    expect(() => parse(argv)).toThrow(new UsageError(message));
  });

  it('has the defaults when nothing is given', () => {
    expect(parseFlags(flags, []).values).toEqual({
      stdin: false,
      tty: false,
      namespace: undefined,
      'as-group': [],
      labels: [],
      port: undefined,
      wait: undefined,
      transport: 'auto',
    });
  });

  it('never changes a word behind --, nor takes it for a flag', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        expect(parse(['-i', 'p', '--', ...words])).toEqual({ stdin: true, args: ['p', ...words], beforeDash: 1 });
      }),
    );
  });

  it('gives a value back as it was written, in each of its four forms', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (value) => {
        fc.pre(!value.startsWith('='));
        for (const argv of [
          ['-n', value],
          [`-n=${value}`],
          [`-n${value}`],
          ['--namespace', value],
          [`--namespace=${value}`],
        ]) {
          expect(parse(argv)).toEqual({ namespace: value, args: [] });
        }
      }),
    );
  });
});

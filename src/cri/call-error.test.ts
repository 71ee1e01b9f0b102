import { describe, expect, it } from 'vitest';
import { ExecPathError, errorTable, ProtocolError } from '../common/errors.ts';
import { statusOf } from '../common/status.ts';
import { grpcCodes } from '../grpc/index.ts';
import { grpcStatusOf, RuntimeCallError } from './call-error.ts';

describe('RuntimeCallError', () => {
  it('speaks as Go does', () => {
    const error = new RuntimeCallError(grpcCodes.NotFound, 'container "x" not found', { rpc: 'Exec' });
    expect(error.message).toBe('rpc error: code = NotFound desc = container "x" not found');
    expect(error).toMatchObject({ name: 'RuntimeCallError', rpc: 'Exec', hop: 'runtime', grpcCode: 5 });
  });

  it('prints a code that gRPC does not define as its number', () => {
    expect(new RuntimeCallError(99, 'odd').message).toBe('rpc error: code = Code(99) desc = odd');
  });

  it.each<[keyof typeof grpcCodes, number, string]>([
    ['NotFound', 404, 'NotFound'],
    ['InvalidArgument', 400, 'BadRequest'],
    ['ResourceExhausted', 429, 'TooManyRequests'],
    ['Unavailable', 500, 'InternalError'],
    ['DeadlineExceeded', 500, 'InternalError'],
    ['Unimplemented', 500, 'InternalError'],
    ['Unknown', 500, 'InternalError'],
    ['Canceled', 500, 'InternalError'],
    ['PermissionDenied', 500, 'InternalError'],
  ])('%s becomes HTTP %i %s', (name, code, reason) => {
    expect(statusOf(new RuntimeCallError(grpcCodes[name], 'd'))).toMatchObject({ code, reason });
  });

  it('blames nobody when the caller itself cancelled', () => {
    const error = new RuntimeCallError(grpcCodes.Canceled, 'enough', { aborted: true });
    expect(error).toMatchObject({ code: 'ERR_ABORTED', hop: undefined, grpcCode: 1 });
  });
});

describe('grpcStatusOf', () => {
  it('gives a RuntimeCallError back as it came, without its frame', () => {
    expect(grpcStatusOf(new RuntimeCallError(grpcCodes.AlreadyExists, 'name is taken'))).toEqual({
      code: 6,
      details: 'name is taken',
    });
  });

  it.each([
    ['ERR_BAD_REQUEST', grpcCodes.InvalidArgument],
    ['ERR_UNAUTHORIZED', grpcCodes.Unauthenticated],
    ['ERR_FORBIDDEN', grpcCodes.PermissionDenied],
    ['ERR_NOT_FOUND', grpcCodes.NotFound],
    ['ERR_DIAL_TIMEOUT', grpcCodes.DeadlineExceeded],
    ['ERR_ABORTED', grpcCodes.Canceled],
    ['ERR_CRI_UNAVAILABLE', grpcCodes.Unavailable],
    ['ERR_CRI_DEADLINE', grpcCodes.DeadlineExceeded],
    ['ERR_CRI_EXHAUSTED', grpcCodes.ResourceExhausted],
    ['ERR_DIAL', grpcCodes.Unknown],
    ['ERR_INTERNAL', grpcCodes.Unknown],
  ] as const)('maps %s by its row to %i', (code, grpcCode) => {
    expect(errorTable).toHaveProperty(code);
    expect(grpcStatusOf(new ExecPathError(code, 'why'))).toEqual({ code: grpcCode, details: 'why' });
    expect(grpcStatusOf(new ProtocolError(code, 'why')).code).toBe(grpcCode);
  });

  it.each<[string, unknown]>([
    ['an Error', new Error('why')],
    ['a string', 'why'],
  ])('maps %s to Unknown with its message', (_, thrown) => {
    expect(grpcStatusOf(thrown)).toEqual({ code: 2, details: 'why' });
  });

  it('gives only details that can be percent-encoded, and short ones', () => {
    expect(grpcStatusOf(new Error('half \ud83d')).details).toBe('half \ufffd');
    const { details } = grpcStatusOf(new Error(`${'x'.repeat(4095)}😀 and more`));
    expect(details).toBe(`${'x'.repeat(4095)}\ufffd…`);
  });
});

import { randomUUID } from 'node:crypto';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { runCall } from '../call.js';
import { DomainError } from '../errors.js';
import type { Problem } from './problem.contract.js';
import { toProblem } from './problem.js';

/** What Node could not read as HTTP, by its code; anything else is broken in some other way. */
const statusOf: Readonly<Record<string, readonly [status: number, reason: string, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The call did not arrive in time.'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The header of the call is too large.'],
};
const broken = [400, 'Bad Request', 'The call could not be read as HTTP.'] as const;

const problemOf = (message: string, advice: string, status: number): Problem => ({
  ...runCall({ correlationId: randomUUID(), address: undefined, subject: {} }, () =>
    toProblem(new DomainError('invalid', 'invalid_input', message, advice)),
  ),
  status,
});

/** Answers in our form to what never became a call, and ends the connection. */
export function answerUnread(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const [status, reason, message] = statusOf[error.code ?? ''] ?? broken;
  const body = JSON.stringify(
    problemOf(message, 'Use an HTTP client as it is, without changing what it sends.', status),
  );
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ];
  if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.destroy(error);
}

/** An expectation other than 100-continue (RFC 9110, 10.1.1) is not met; Node itself would answer without a word. */
export function refuseExpectations(server: Server): void {
  server.on('checkExpectation', (_request, response: ServerResponse) => {
    const body = JSON.stringify(problemOf('No such expectation is met.', 'Leave the header Expect out.', 417));
    const type = { 'Content-Type': 'application/problem+json', 'Content-Length': Buffer.byteLength(body) };
    response.writeHead(417, { ...type, 'Cache-Control': 'no-store', Connection: 'close' }).end(body);
  });
}

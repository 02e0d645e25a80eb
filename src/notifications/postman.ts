import { request as http, type IncomingMessage } from 'node:http';
import { request as https, type RequestOptions } from 'node:https';
import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Outbound } from '../platform/outbound.js';

/** What came back: an HTTP status, or why none did; `problem` is null for what was taken. */
export interface Receipt {
  readonly status: number | null;
  readonly problem: string | null;
  /** The header of this name, as it came with what was not taken. */
  readonly retryAfter?: string | undefined;
}

type Answer = Pick<IncomingMessage, 'statusCode' | 'headers'>;

/** For the whole exchange, milliseconds. The specification advises 15 to 30 s at the most. */
export const PATIENCE_MS = 15_000;
/** What an answer says beyond its status, and when it wants the next try, is not looked at; more than this of it is not even received. */
const LARGEST_ANSWER = 64 * 1024;

/**
 * Brings one message to one address, over verified TLS, to the public internet and the networks that were allowed: the address is
 * looked at anew each time, the connection goes to the very one that was looked at, and no redirect is followed.
 */
@Injectable()
export class Postman {
  private readonly outbound: Outbound;

  constructor(@Inject(SETTINGS) { aws }: Pick<Settings, 'aws'>) {
    this.outbound = new Outbound(aws.outboundNetworks);
  }

  /** Why nothing is brought there, as the rest of a sentence; undefined when it is. */
  refusalOf(address: string): string | undefined {
    return this.outbound.refusalOf(address);
  }

  async bring(address: string, headers: Record<string, string>, body: string): Promise<Receipt> {
    const refusal = this.refusalOf(address);
    if (refusal !== undefined) return { status: null, problem: `The address ${refusal}.` };
    try {
      const { statusCode: status = 0, headers: said } = await this.exchange(new URL(address), headers, body);
      if (status < 100 || status > 599)
        return { status: null, problem: 'The receiver answered with no status of HTTP.' };
      const problem = problemOf(status);
      return { status, problem, ...(problem !== null && { retryAfter: said['retry-after'] }) };
    } catch (error) {
      return { status: null, problem: whyNot(error) };
    }
  }

  private exchange(url: URL, headers: Record<string, string>, body: string): Promise<Answer> {
    const options: RequestOptions = {
      method: 'POST',
      agent: false,
      lookup: this.outbound.lookup,
      signal: AbortSignal.timeout(PATIENCE_MS),
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    };
    return new Promise((resolve, reject) => {
      const call = (url.protocol === 'https:' ? https : http)(url, options, (answer) => {
        let bytes = 0;
        answer.on('error', () => undefined); // its status has said all
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > LARGEST_ANSWER) answer.destroy();
        });
        resolve(answer);
      });
      call.on('error', reject);
      // a receiver that changes the protocol gives neither an answer nor an error
      call.on('upgrade', (answer, socket) => {
        socket.destroy();
        resolve(answer);
      });
      call.end(body);
    });
  }
}

function problemOf(status: number): string | null {
  if (status >= 200 && status < 300) return null;
  const more = status >= 300 && status < 400 ? '; redirects are not followed' : '';
  return `The receiver answered ${status}${more}.`;
}

/** By code alone: what an error says may hold the address with all that is in it. */
function whyNot(error: unknown): string {
  const { code, name, message } = error as NodeJS.ErrnoException;
  if (code === 'ERR_OUTBOUND') return `The host ${message}.`;
  if (name === 'AbortError' || name === 'TimeoutError') return `No answer came within ${PATIENCE_MS / 1000} s.`;
  return `The receiver could not be reached (${code ?? 'unknown'}).`;
}

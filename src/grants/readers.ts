import { Injectable } from '@nestjs/common';
import { DomainError } from '../platform/errors.js';
import { faultBehind, type TargetSession } from '../postgres/postgres.contract.js';
import { TargetAccess } from '../targets/target-access.service.js';
import { writable } from '../targets/target.js';
import type { GrantRow } from './grant.js';

type EndpointRow = GrantRow['target']['endpoints'][number];

/** For so long a right that was given on the writer is waited for on a reader. */
const REPLICATION_MS = 3_000;
const PAUSE_MS = 50;

/**
 * Sessions on readers. What is taken away on the writer arrives there by replication, but no session of theirs ends by
 * that: each reader is looked at by itself, and one that cannot be looked at keeps a grant from being called closed.
 */
@Injectable()
export class Readers {
  constructor(private readonly access: TargetAccess) {}

  /** Ends the sessions of a login that has lost its access. Answers how many, and what is left, in words. */
  async clear(
    target: GrantRow['target'],
    writer: TargetSession,
    login: string,
  ): Promise<{ ended: number; left: string[] }> {
    const first = writable(target.endpoints);
    const readers = target.endpoints.filter(
      ({ kind, id }) => (kind === 'reader' || kind === 'instance') && id !== first?.id,
    );
    const found = await Promise.all(readers.map((endpoint) => this.attempt(target, endpoint, writer, login)));
    return { ended: found.reduce((sum, { ended }) => sum + ended, 0), left: found.flatMap(({ left }) => left) };
  }

  private async attempt(
    target: GrantRow['target'],
    endpoint: EndpointRow,
    writer: TargetSession,
    login: string,
  ): Promise<{ ended: number; left: string[] }> {
    const where = `${endpoint.kind} ${endpoint.connectHost}:${endpoint.port}`;
    try {
      const reader = await this.access.endpoint(target, endpoint, 'reconcile');
      if (!(await fenced(reader, login)))
        return { ended: 0, left: [`it can still log in on the ${where}: replication is behind`] };
      if ((await sessions(reader, login)) === 0) return { ended: 0, left: [] };
      const ended = await this.end(reader, writer, login);
      const still = await sessions(reader, login);
      return { ended, left: still === 0 ? [] : [`${still} sessions are live on the ${where}`] };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return { ended: 0, left: [`the ${where} could not be cleared: ${error.message}`] };
    }
  }

  private async end(reader: TargetSession, writer: TargetSession, login: string): Promise<number> {
    await writer.reach(login, true);
    try {
      return await onceReplicated(() => reader.endHere(login));
    } finally {
      await writer.reach(login, false);
    }
  }
}

async function fenced(reader: TargetSession, login: string): Promise<boolean> {
  const until = Date.now() + REPLICATION_MS;
  for (;;) {
    const [found] = await reader.inspect([login]);
    if (!found?.exists || !found.canLogin) return true;
    if (Date.now() > until) return false;
    await pause();
  }
}

const sessions = async (reader: TargetSession, login: string): Promise<number> =>
  (await reader.activity()).filter((backend) => backend.login === login).length;

/** 42501 until the membership that the writer gave has arrived. */
async function onceReplicated<T>(run: () => Promise<T>): Promise<T> {
  const until = Date.now() + REPLICATION_MS;
  for (;;)
    try {
      return await run();
    } catch (error) {
      if (faultBehind(error)?.fault !== '42501' || Date.now() > until) throw error;
      await pause();
    }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

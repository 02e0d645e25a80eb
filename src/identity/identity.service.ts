import { Injectable } from '@nestjs/common';
import type { Person } from '../generated/prisma/client.js';
import type { Method } from '../generated/prisma/enums.js';
import type { PersonActor, ServiceActor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database, type Tx } from '../platform/state/database.js';
import { AccountsService } from './accounts.service.js';
import type { VerifiedPerson } from './identity.contract.js';
import { endsAsPassword, loginBy, loginName, withSuffix } from './login-name.js';
import { ambiguousPerson, namedPerson, unknownPerson } from './named-person.js';
import { personActor, provedBy } from './person-actor.js';
import { refuseAbsent, removed, type Standing } from './standing.js';
import { bearerToken, TokenVerifier } from './token-verifier.js';

/**
 * Milliseconds for which a person's row is taken as read: how late another process may notice a lock or a removal. What
 * changes something looks again in its own transaction: see `hold`.
 */
const FRESH = 1_000;
/** Milliseconds after which `last_seen_at` is written again. */
const SEEN = 60_000;
const MAX_KEPT = 10_000;

/**
 * `again`: for a call that goes on. What its token says of the person was written down when it began, and may be older by now than what
 * another token of theirs has said since.
 */
export type Looking = 'anew' | 'again';

interface Known {
  person: Person;
  claims: string;
  readAt: number;
  seenAt: number;
}

/** Turns a verified token into the person of our own records: one row a person for ever. */
@Injectable()
export class IdentityService {
  private readonly known = new Map<string, Known>();

  constructor(
    private readonly verifier: TokenVerifier,
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly accounts: AccountsService,
  ) {}

  /**
   * The person who calls.
   * @param authorization value of the Authorization header
   * @throws DomainError `token_missing`, `token_invalid`, `token_expired`, `person_removed`, `identity_provider_unavailable`
   */
  async authenticate(
    authorization: string | undefined,
    call: { address: string | undefined; correlationId: string },
    how: Looking = 'anew',
  ): Promise<PersonActor> {
    const verified = await this.verifier.verify(bearerToken(authorization));
    const person = await this.personOf(verified, how);
    if (person.removedAt !== null) throw removed(person);
    return { ...personActor(person, call), ...provedBy(verified) };
  }

  /**
   * The person for whom a service calls: by an access token of theirs, by a name, or by both, which must then lead to one person.
   * Of who is only named, the groups are those of the last token, and nothing says when they last proved who they are.
   * @throws DomainError `unknown_person`, `ambiguous_person`, `person_removed`, `person_locked`; for a token as {@link authenticate}
   */
  async represented(
    service: ServiceActor,
    { name, token }: { name: string | undefined; token: string | undefined },
    how: Looking = 'anew',
  ): Promise<PersonActor> {
    const verified = token === undefined ? undefined : await this.verifier.verify(token);
    const named = name === undefined ? undefined : await namedPerson(this.db.client, name);
    const person = verified ? await this.personOf(verified, how) : named;
    if (!person) throw unknownPerson();
    if (named && named.id !== person.id) throw ambiguousPerson('The name and the access token are of two people.');
    concerning({ subjectId: person.id });
    refuseAbsent([person]);
    const via = { service, proof: verified ? 'token' : 'named' } as const;
    return { ...personActor(person, service), ...(verified && provedBy(verified)), via };
  }

  /**
   * Somebody whom Usher has met, by id or e-mail address.
   * @param place where the name stands, for the refusal
   * @throws DomainError `unknown_person`, `ambiguous_person`
   */
  named(name: string, place: string): Promise<Person> {
    return namedPerson(this.db.client, name, place);
  }

  /**
   * The login role name that is this person's own for a way to log in, given once and never to anybody else.
   * @param masterUser of the target, whom nobody may become
   * @throws DomainError `invalid_login_name`, `reserved_login_name`
   */
  async loginFor(tx: Tx, personId: string, masterUser: string | undefined, method: Method): Promise<string> {
    const person = await tx.person.findUniqueOrThrow({ where: { id: personId }, include: { loginName: true } });
    const name = person.loginName?.name ?? (await this.claim(tx, person));
    return refuseMaster(loginBy(method, name), masterUser);
  }

  /**
   * Keeps people from being removed until the end of the transaction, and tells how they stand. Before any lock on requests
   * and grants: a removal takes its locks in that order, too.
   */
  async hold(tx: Tx, ids: readonly string[]): Promise<(Standing & Pick<Person, 'email'>)[]> {
    await tx.$queryRaw`SELECT 1 FROM person WHERE id = ANY (${[...ids]}::uuid[]) ORDER BY id FOR KEY SHARE`;
    const select = { id: true, name: true, email: true, locked: true, removedAt: true };
    return tx.person.findMany({ where: { id: { in: [...ids] } }, select, orderBy: { id: 'asc' } });
  }

  /**
   * Takes a person off, or lets them come back; row, name and history stay. Call {@link forget} once it is committed.
   * @returns false when it was so already
   */
  async setRemoved(tx: Tx, id: string, off: boolean): Promise<boolean> {
    await tx.$queryRaw`SELECT 1 FROM person WHERE id = ${id}::uuid FOR UPDATE`;
    const where = { id, removedAt: off ? null : { not: null } };
    const { count } = await tx.person.updateMany({ where, data: { removedAt: off ? this.clock.now() : null } });
    return count === 1;
  }

  /**
   * Locks a person, or lets them act again. Call {@link forget} once it is committed.
   * @param reason why, for whoever is to unlock; null unlocks
   * @returns false when it was so already: the first reason stays
   */
  async setLocked(tx: Tx, id: string, reason: string | null): Promise<boolean> {
    await tx.$queryRaw`SELECT 1 FROM person WHERE id = ${id}::uuid FOR UPDATE`;
    const locked = reason !== null;
    const data = { locked, lockedAt: locked ? this.clock.now() : null, lockReason: reason };
    const { count } = await tx.person.updateMany({ where: { id, locked: !locked }, data });
    return count === 1;
  }

  /** Reads a person's row anew at their next call. */
  forget(id: string): void {
    for (const [key, { person }] of this.known) if (person.id === id) this.known.delete(key);
  }

  /** The person's own IAM user or role, as the provider named it last; undefined when it names none. */
  async principalOf(personId: string): Promise<string | undefined> {
    const person = await this.db.client.person.findUniqueOrThrow({
      where: { id: personId },
      select: { principalArn: true },
    });
    return person.principalArn ?? undefined;
  }

  /** Whether nobody else came with this IAM user or role: one that is shared leads to no one person. */
  async isOnlyHis(personId: string, principalArn: string): Promise<boolean> {
    return (await this.db.client.person.count({ where: { principalArn, id: { not: personId } } })) === 0;
  }

  /**
   * What the name would be, with nothing written: for a preview.
   * @throws as {@link loginFor}
   */
  async previewLogin(personId: string, masterUser: string | undefined, method: Method): Promise<string> {
    const person = await this.db.client.person.findUniqueOrThrow({
      where: { id: personId },
      include: { loginName: true },
    });
    if (person.loginName) return refuseMaster(loginBy(method, person.loginName.name), masterUser);
    const [first, second] = candidates(person);
    const owner = await this.db.client.loginName.findUnique({ where: { name: first } });
    const taken = owner !== null && owner.personId !== personId; // another call of the same person may have got it just now
    return refuseMaster(loginBy(method, taken ? (second ?? first) : first), masterUser);
  }

  private async claim(tx: Tx, person: Person): Promise<string> {
    for (const name of candidates(person).filter((one) => one !== undefined)) {
      const rows = await tx.$executeRaw`
        INSERT INTO login_name (name, person_id, created_at) VALUES (${name}, ${person.id}::uuid, ${this.clock.now()}) ON CONFLICT DO NOTHING`;
      if (rows === 1) return name;
      const owner = await tx.loginName.findUnique({ where: { personId: person.id } }); // another call of the same person was first
      if (owner) return owner.name;
    }
    throw new DomainError(
      'invalid',
      'invalid_login_name',
      `No login role name is free for ${person.name}.`,
      'Ask an administrator for another user name.',
    );
  }

  private async personOf(verified: VerifiedPerson, how: Looking): Promise<Person> {
    const { issuer, subject } = verified;
    const met =
      how === 'again'
        ? await this.db.client.person.findUnique({ where: { issuer_subject: { issuer, subject } } })
        : null;
    return met ?? this.person(verified);
  }

  private async person(verified: VerifiedPerson): Promise<Person> {
    const key = JSON.stringify([verified.issuer, verified.subject]);
    const claims = JSON.stringify([
      verified.name,
      verified.email,
      verified.preferredUsername,
      verified.awsPrincipal,
      verified.groups,
    ]);
    const now = this.clock.now().getTime();
    const known = this.known.get(key);
    if (known?.claims === claims && Math.abs(now - known.readAt) < FRESH) return known.person;
    const write = known?.claims !== claims || Math.abs(now - known.seenAt) >= SEEN;
    const person = write
      ? await this.accounts.see(verified)
      : await this.db.client.person.findUniqueOrThrow({ where: { id: known.person.id } });
    if (this.known.size >= MAX_KEPT) this.known.clear();
    this.known.set(key, { person, claims, readAt: now, seenAt: write ? now : known.seenAt });
    return person;
  }
}

/** The names that a person may have, the first that is free; one that ends in `_pw` has its suffix at once. */
function candidates(person: Person): [string, string?] {
  const wanted = loginName(named(person));
  const suffixed = withSuffix(wanted, person.issuer, person.subject);
  return endsAsPassword(wanted) ? [suffixed] : [wanted, suffixed];
}

/** RDS folds the master's name to lower case, as PostgreSQL does with one that is not quoted. */
function refuseMaster(name: string, masterUser: string | undefined): string {
  if (name !== masterUser?.toLowerCase()) return name;
  throw new DomainError(
    'invalid',
    'reserved_login_name',
    `Your login role would be "${name}", which is this target's master user.`,
    'Ask an administrator for another user name.',
  );
}

const named = (person: Person) => ({
  subject: person.subject,
  ...(person.email !== null && { email: person.email }),
  ...(person.userName !== null && { preferredUsername: person.userName }),
});

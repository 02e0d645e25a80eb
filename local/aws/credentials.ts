/** The access keys that the stand-in has handed out: of users (`AKIA…`, no end) and of role sessions (`ASIA…`, with one). */
import { randomBytes, randomInt } from 'node:crypto';
import type { PolicyDocument } from './policy-document.ts';

/** What of a role session matters to its requests. */
export interface RoleSession {
  /** `arn:aws:sts::{account}:assumed-role/{role}/{session}` */
  readonly arn: string;
  readonly roleArn: string;
  readonly roleName: string;
  readonly sessionName: string;
  /** `{role id}:{session name}` */
  readonly userId: string;
  readonly sourceIdentity: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** Absent: made without a session policy. */
  readonly policies: readonly PolicyDocument[] | undefined;
  readonly issuedAt: Date;
}

interface KeyPair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface UserKey extends KeyPair {
  readonly kind: 'user';
  readonly userName: string;
  status: 'Active' | 'Inactive';
  readonly createdAt: Date;
}

export interface SessionKey extends KeyPair {
  readonly kind: 'session';
  readonly sessionToken: string;
  readonly expiresAt: Date;
  readonly session: RoleSession;
}

export type Credential = UserKey | SessionKey;

const idAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** An id in IAM's form: a prefix that tells its kind (`AKIA`, `ASIA`, `AIDA`, `AROA`, `ANPA`), then base32, 20 in all. */
export function uniqueId(prefix: string): string {
  let id = prefix;
  while (id.length < 20) id += idAlphabet.charAt(randomInt(idAlphabet.length));
  return id;
}

const secret = (): string => randomBytes(30).toString('base64');

/** As long as a real one and as rich in `+`, `/` and `=`, so that what truncates or double-encodes tokens shows here. */
const sessionToken = (): string => `IQoJb3JpZ2luX2Vj${randomBytes(481).toString('base64')}`;

export class CredentialStore {
  readonly #byId = new Map<string, Credential>();

  find(accessKeyId: string): Credential | undefined {
    return this.#byId.get(accessKeyId);
  }

  /** @param chosen for a key that must be known beforehand, as in a test vector */
  createUserKey(userName: string, createdAt: Date, chosen?: KeyPair): UserKey {
    const key: UserKey = {
      kind: 'user',
      accessKeyId: chosen?.accessKeyId ?? uniqueId('AKIA'),
      secretAccessKey: chosen?.secretAccessKey ?? secret(),
      userName,
      status: 'Active',
      createdAt,
    };
    this.#byId.set(key.accessKeyId, key);
    return key;
  }

  createSessionKey(session: RoleSession, expiresAt: Date): SessionKey {
    this.#forgetLongExpired(session.issuedAt);
    const key: SessionKey = {
      kind: 'session',
      accessKeyId: uniqueId('ASIA'),
      secretAccessKey: secret(),
      sessionToken: sessionToken(),
      expiresAt,
      session,
    };
    this.#byId.set(key.accessKeyId, key);
    return key;
  }

  keysOfUser(userName: string): UserKey[] {
    return [...this.#byId.values()].filter((key): key is UserKey => key.kind === 'user' && key.userName === userName);
  }

  delete(accessKeyId: string): void {
    this.#byId.delete(accessKeyId);
  }

  /** Sessions are kept for a day after their end, so that a late request still hears `ExpiredToken`, as it does at AWS. */
  #forgetLongExpired(now: Date): void {
    for (const [id, key] of this.#byId) {
      if (key.kind !== 'session') continue;
      // In the order they were made, so the first young one ends the search and the cost of a call stays flat.
      if (key.expiresAt.getTime() > now.getTime() - 86_400_000) return;
      this.#byId.delete(id);
    }
  }
}

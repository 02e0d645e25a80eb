import { ArgsType, Field, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { IsEnum, IsOptional, IsUUID, MaxLength } from 'class-validator';
import { Moment, PersonQuestion, YesOrNo } from './connection-questions.contract.js';
import { GapKind } from './log-reading.contract.js';

/** Whose login a session is of. */
export enum LoginKind {
  /** A person of Usher */
  person = 'person',
  /** The master, or another login with an administrator's rights, that Usher did not make */
  administrator = 'administrator',
  /** Of nobody that Usher knows: an application, a tool, somebody's own */
  unknown = 'unknown',
}
registerEnumType(LoginKind, { name: 'LoginKind' });

/** What tells of a session and of its grant. */
export enum ConnectionGrade {
  /** The server's own log */
  logged = 'logged',
  /** A look at the server while it was there */
  observed = 'observed',
  /** That it was there is sure, and whose it was; under which of several grants, or since when, is concluded */
  inferred = 'inferred',
}
registerEnumType(ConnectionGrade, { name: 'ConnectionGrade' });

/** What about a session should be looked at. */
export enum ConnectionFlag {
  /** A person's login, and no grant of theirs was live when it began */
  no_grant = 'no_grant',
  /** No token of Usher's in the 15 minutes before it, where Usher makes the tokens: it was made elsewhere */
  no_mint = 'no_mint',
  /** A password, where a token was due */
  password_for_token = 'password_for_token',
  no_tls = 'no_tls',
  /** Below TLS 1.2 */
  old_tls = 'old_tls',
  unknown_login = 'unknown_login',
  administrator = 'administrator',
  /** This person came from other addresses before, and never from this one */
  new_address = 'new_address',
  /** Still there after the end of its grant */
  outlived = 'outlived',
}
registerEnumType(ConnectionFlag, { name: 'ConnectionFlag' });

/** Somebody who agreed to the request behind a grant. */
@ObjectType()
export class ConnectionApprover {
  id: string;
  name: string;
  /** In whose place they agreed; null for their own vote */
  forPersonId: string | null;
  forPersonName: string | null;
}

/** A session seen on a target. */
@ObjectType()
export class Connection {
  id: string;
  targetId: string;
  endpointId: string;
  /** PostgreSQL role */
  login: string;
  loginKind: LoginKind;
  database: string | null;
  clientAddress: string | null;
  @Field(() => Int, { nullable: true })
  clientPort: number | null;
  /** Null where it may not be seen */
  tls: boolean | null;
  tlsVersion: string | null;
  tlsCipher: string | null;
  /** Chosen by the client: a hint, not a proof */
  applicationName: string | null;
  /** As the server's log names it; null where no log was read */
  authMethod: string | null;
  grade: ConnectionGrade;
  @Field(() => [ConnectionFlag])
  flags: ConnectionFlag[];
  /** Whose login it is; null when no person of Usher has it */
  personId: string | null;
  personName: string | null;
  /** The grant under which it was opened; null when none fits */
  grantId: string | null;
  /** The audit event of the token that opened it; null when none fits, or none was needed */
  mintId: string | null;
  requestId: string | null;
  ticket: string | null;
  approvers: ConnectionApprover[];
  /** When the session began, by the broker's clock */
  startedAt: Date;
  firstSeenAt: Date;
  lastSeenAt: Date;
  /** When it was first seen no more */
  endedAt: Date | null;
}

/** A time in which an endpoint was not watched: what is not seen in it may have been there. */
@ObjectType()
export class ConnectionGap {
  targetId: string;
  /** Null when it is about all endpoints of the target */
  endpointId: string | null;
  kind: GapKind;
  from: Date;
  /** Null while it lasts */
  to: Date | null;
  /** Why, e.g. target_unreachable or behind */
  detail: string | null;
}

@ObjectType()
export class ConnectionPage {
  items: Connection[];
  nextCursor: string | null;
  /** Of the time that was asked about, newest first, 200 at most */
  gaps: ConnectionGap[];
}

@ArgsType()
export class ConnectionQuery extends PersonQuestion {
  @IsOptional()
  @IsUUID()
  grant?: string;
  @IsOptional()
  @MaxLength(63)
  login?: string;
  @IsOptional()
  @IsEnum(ConnectionFlag)
  flag?: ConnectionFlag;
  /** true: only those that came past the broker */
  @YesOrNo()
  around?: boolean;
  /** true: only sessions that were there at the last look */
  @YesOrNo()
  open?: boolean;
  /** Those that were there at this moment; without from and to */
  @Moment()
  at?: Date;
  /** Those that were there at or after this moment */
  @Moment()
  from?: Date;
  /** Those that were there at or before this moment */
  @Moment()
  to?: Date;
}

import { ArgsType, ObjectType, registerEnumType } from '@nestjs/graphql';
import { IsOptional, MaxLength } from 'class-validator';
import { Moment, PersonQuestion } from './connection-questions.contract.js';
import { ConnectionGap } from './connections.contract.js';

/** Why a login failed, most likely. */
export enum LoginFailureCause {
  no_tls = 'no_tls',
  no_database = 'no_database',
  too_many_connections = 'too_many_connections',
  server_unavailable = 'server_unavailable',
  too_slow = 'too_slow',
  unknown_login = 'unknown_login',
  no_grant = 'no_grant',
  grant_over = 'grant_over',
  wrong_password = 'wrong_password',
  /** The grant lived, and Usher had made no token for it yet */
  no_token = 'no_token',
  token_expired = 'token_expired',
  /** The token was for another endpoint of the target */
  other_endpoint = 'other_endpoint',
  /** The token was good when it left: it was cut on its way, or IAM said no */
  token_refused = 'token_refused',
}
registerEnumType(LoginFailureCause, { name: 'LoginFailureCause' });

/** A login that failed, as the log of the server has it. */
@ObjectType()
export class FailedLoginAttempt {
  id: string;
  targetId: string;
  endpointId: string | null;
  /** By the target's clock */
  at: Date;
  /** As the client named it: nothing of it is proved */
  login: string;
  database: string;
  clientAddress: string | null;
  personId: string | null;
  personName: string | null;
  /** What the server said, e.g. authentication or rejected */
  failure: string;
  sqlstate: string | null;
  cause: LoginFailureCause;
  advice: string;
}

@ObjectType()
export class FailedLoginPage {
  items: FailedLoginAttempt[];
  nextCursor: string | null;
  gaps: ConnectionGap[];
}

@ArgsType()
export class FailedLoginQuery extends PersonQuestion {
  @IsOptional()
  @MaxLength(63)
  login?: string;
  /** Not before */
  @Moment()
  from?: Date;
  /** Not after */
  @Moment()
  to?: Date;
}

import { ArgsType, Field, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { IsEnum, IsOptional, IsUUID, MaxLength } from 'class-validator';
import { Moment, PersonQuestion } from './connection-questions.contract.js';
import { ConnectionGap } from './connections.contract.js';

/** What pgaudit sorts statements into (`pgaudit.log`). */
export enum StatementClass {
  READ = 'READ',
  WRITE = 'WRITE',
  /** Function calls and DO blocks */
  FUNCTION = 'FUNCTION',
  /** Roles and privileges */
  ROLE = 'ROLE',
  DDL = 'DDL',
  MISC = 'MISC',
  MISC_SET = 'MISC_SET',
}
registerEnumType(StatementClass, { name: 'StatementClass' });

/** Why pgaudit told of a statement. */
export enum StatementAuditType {
  /** By its class, as `pgaudit.log` has it */
  SESSION = 'SESSION',
  /** By the relation that it touched, as `pgaudit.role` has it */
  OBJECT = 'OBJECT',
}
registerEnumType(StatementAuditType, { name: 'StatementAuditType' });

/** A statement that was run on a target, as pgaudit wrote it into the server's log. Neither its text nor its parameters are kept. */
@ObjectType()
export class Statement {
  id: string;
  /** By the target's clock; in whole seconds where its log has no more */
  at: Date;
  /** The session that ran it; null when none is known, or when more than one could have */
  connectionId: string | null;
  personId: string | null;
  personName: string | null;
  /** The grant under which its session was opened */
  grantId: string | null;
  /** The login of the session, whatever role it took on since */
  login: string;
  database: string;
  targetId: string;
  auditType: StatementAuditType;
  /** As pgaudit names it: READ, WRITE, FUNCTION, ROLE, DDL, MISC, MISC_SET */
  class: string;
  /** E.g. DROP TABLE */
  command: string;
  objectType: string | null;
  /** Qualified, and quoted where PostgreSQL would quote it */
  objectName: string | null;
  /** In its session, from 1 */
  @Field(() => Int)
  statementId: number;
  @Field(() => Int)
  substatementId: number;
}

@ObjectType()
export class StatementPage {
  items: Statement[];
  nextCursor: string | null;
  /** When nobody could see, of the time that was asked about, newest first, 200 at most */
  gaps: ConnectionGap[];
}

/** Statements of one connection, person, grant or target at the least. */
@ArgsType()
export class StatementQuery extends PersonQuestion {
  @IsOptional()
  @IsUUID()
  connection?: string;
  @IsOptional()
  @IsUUID()
  grant?: string;
  @IsOptional()
  @IsEnum(StatementClass)
  class?: StatementClass;
  /** E.g. DROP TABLE */
  @IsOptional()
  @MaxLength(100)
  command?: string;
  /** Exactly as objectName has it, e.g. public.orders */
  @IsOptional()
  @MaxLength(10_000)
  object?: string;
  /** Not before, by the target's clock */
  @Moment()
  from?: Date;
  /** Not after, by the target's clock */
  @Moment()
  to?: Date;
}

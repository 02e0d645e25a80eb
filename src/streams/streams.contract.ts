import { ArgsType, Field, Float, ObjectType } from '@nestjs/graphql';
import { IsInt, IsOptional, IsUUID, Max, Min } from 'class-validator';
import { AccessRequest } from '../access/requests.contract.js';
import { AuditOutcome } from '../audit/audit.contract.js';
import { Connection, ConnectionFlag } from '../connections/connections.contract.js';
import { Grant } from '../grants/grants.contract.js';

/** Where a stream begins, and which events are wanted. */
@ArgsType()
export class EventQuery {
  /** Behind the event with this sequence: the last one that came. Left out: from now on */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  @Field(() => Float, { nullable: true })
  after?: number;
  /** Id of a target: only what is about it */
  @IsOptional()
  @IsUUID()
  target?: string;
  /** Id of a person: only what is about their access */
  @IsOptional()
  @IsUUID()
  person?: string;
}

/** Something that is on record about a request. */
@ObjectType()
export class RequestEvent {
  /** Its place in the record: it rises, with gaps. Give it as `after` to go on behind it */
  @Field(() => Float)
  sequence: number;
  at: Date;
  /** request.create, request.approve, … as the record has it */
  action: string;
  @Field(() => AuditOutcome)
  outcome: AuditOutcome;
  requestId: string;
  /** As it is when the event is sent, which may be later than the event */
  request: AccessRequest;
}

/** Something that is on record about a grant. */
@ObjectType()
export class GrantEvent {
  /** Its place in the record: it rises, with gaps. Give it as `after` to go on behind it */
  @Field(() => Float)
  sequence: number;
  at: Date;
  /** grant.active, grant.closed, … as the record has it */
  action: string;
  @Field(() => AuditOutcome)
  outcome: AuditOutcome;
  grantId: string;
  requestId: string;
  /** As it is when the event is sent, which may be later than the event */
  grant: Grant;
}

/** Sessions that should be looked at. */
@ObjectType()
export class FlagEvent {
  /** Its place in the record: it rises, with gaps. Give it as `after` to go on behind it */
  @Field(() => Float)
  sequence: number;
  at: Date;
  /** connection.flagged */
  action: string;
  targetId: string;
  @Field(() => [ConnectionFlag])
  flags: ConnectionFlag[];
  /** As they are when the event is sent. Of a login that nobody knows, up to twenty that came together have one event */
  connections: Connection[];
}

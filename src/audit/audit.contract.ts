import { ArgsType, Field, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { ApiProperty } from '@nestjs/swagger';
import {
  IsDate,
  IsEnum,
  IsInt,
  IsOptional,
  IsUUID,
  Matches,
  Max,
  MaxDate,
  MaxLength,
  Min,
  MinDate,
} from 'class-validator';
import { Type } from 'class-transformer';
import { Json } from '../platform/http/json.scalar.js';

export enum AuditOutcome {
  success = 'success',
  refused = 'refused',
  failed = 'failed',
}
registerEnumType(AuditOutcome, { name: 'AuditOutcome' });

/** One immutable line of the record: who did what to whose access, and what came of it. */
@ObjectType()
export class AuditEvent {
  /** UUID version 7: sorts by time */
  id: string;
  at: Date;
  /** person, service, system or nobody */
  actorKind: string;
  actorId: string | null;
  actorName: string;
  /** The service that called for the actor; null where nobody did, also for what a service does by itself */
  viaServiceId: string | null;
  viaName: string | null;
  /** The person whose access it is about */
  subjectId: string | null;
  action: string;
  outcome: AuditOutcome;
  targetId: string | null;
  requestId: string | null;
  grantId: string | null;
  /** Code of the refusal */
  code: string | null;
  /** What was decided, by which policies, with which effect */
  @Field(() => Json)
  @ApiProperty({ type: 'object', additionalProperties: true })
  details: Record<string, unknown>;
  address: string | null;
  correlationId: string;
}

@ObjectType()
export class AuditEventPage {
  items: AuditEvent[];
  nextCursor: string | null;
}

/** Which lines to show, newest first. */
@ArgsType()
export class AuditQuery {
  /** Id of a person: as actor or as subject */
  @IsOptional()
  @IsUUID()
  person?: string;
  /** Id of a service: as actor, or as the one that called for somebody */
  @IsOptional()
  @IsUUID()
  service?: string;
  @IsOptional()
  @IsUUID()
  target?: string;
  @IsOptional()
  @IsUUID()
  grant?: string;
  @IsOptional()
  @IsUUID()
  request?: string;
  @IsOptional()
  @Matches(/^[a-z]+(\.[a-zA-Z]+)*$/)
  @MaxLength(64)
  action?: string;
  @IsOptional()
  @IsEnum(AuditOutcome)
  outcome?: AuditOutcome;
  /** Not before */
  @IsOptional()
  @Type(() => Date)
  @IsDate()
  @MinDate(new Date('2000-01-01'))
  @MaxDate(new Date('2200-01-01'))
  from?: Date;
  /** Before */
  @IsOptional()
  @Type(() => Date)
  @IsDate()
  @MinDate(new Date('2000-01-01'))
  @MaxDate(new Date('2200-01-01'))
  to?: Date;
  @IsOptional()
  @MaxLength(100)
  cursor?: string;
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(200)
  @Field(() => Int, { nullable: true })
  limit?: number;
}

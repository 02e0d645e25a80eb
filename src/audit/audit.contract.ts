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
  ValidateBy,
} from 'class-validator';
import { Type } from 'class-transformer';
import { Json } from '../platform/http/json.scalar.js';
import { isAddressOrNetwork } from '../platform/network.js';
import { LINE } from '../platform/printable.js';

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

/** How many lines there are, counted as far as it is cheap. */
@ObjectType()
export class AuditEventCount {
  @Field(() => Int)
  count: number;
  /** There are more than were counted */
  more: boolean;
}

/** Which lines; what is given must all hold. */
@ArgsType()
export class AuditFilter {
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
  /** All lines of requests that have this ticket or had it when they were asked */
  @IsOptional()
  @Matches(LINE)
  @MaxLength(100)
  ticket?: string;
  @IsOptional()
  @Matches(/^[a-z]+(\.[a-zA-Z]+)*$/)
  @MaxLength(64)
  action?: string;
  @IsOptional()
  @IsEnum(AuditOutcome)
  outcome?: AuditOutcome;
  /** Where the call came from: an address, or a network as CIDR */
  @IsOptional()
  @ValidateBy({
    name: 'isAddressOrNetwork',
    validator: {
      validate: (value) => typeof value === 'string' && isAddressOrNetwork(value),
      defaultMessage: () => 'address must be like 10.1.2.3, 10.0.0.0/8, 2001:db8::1 or 2001:db8::/32',
    },
  })
  address?: string;
  /** Words of the reason, in any order; "in quotes" one after the other, -without, one or another */
  @IsOptional()
  @Matches(LINE)
  @MaxLength(200)
  reason?: string;
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
}

/** Which lines to show, newest first. */
@ArgsType()
export class AuditQuery extends AuditFilter {
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

export enum AuditExportFormat {
  ndjson = 'ndjson',
  csv = 'csv',
  ocsf = 'ocsf',
  /** What `audit verify` proves: all of the record, with its signed checkpoints */
  sealed = 'sealed',
}

/** Which lines to export, in the order in which they came to be on record. */
@ArgsType()
export class AuditExportQuery extends AuditFilter {
  /** ndjson when it is left out */
  @IsOptional()
  @IsEnum(AuditExportFormat)
  format?: AuditExportFormat;
  /** Behind the line with this sequence: the last one that came, when an export was cut off */
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  @Field(() => Int, { nullable: true })
  after?: number;
}

import { ArgsType, Field, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import { IsDate, IsEnum, IsInt, IsOptional, IsUUID, Max, MaxLength, Min } from 'class-validator';
import { LoginMethod } from '../targets/targets.contract.js';

export enum GrantState {
  scheduled = 'scheduled',
  opening = 'opening',
  active = 'active',
  closing = 'closing',
  closed = 'closed',
  failed = 'failed',
}
registerEnumType(GrantState, { name: 'GrantState' });

export enum IamMode {
  /** Usher signs the tokens; the person needs no AWS identity */
  session = 'session',
  /** The person signs tokens with an IAM user or role of his own */
  attached = 'attached',
}
registerEnumType(IamMode, { name: 'IamMode' });

/** An approved request with a life. */
@ObjectType()
export class Grant {
  id: string;
  requestId: string;
  targetId: string;
  profileId: string;
  personId: string;
  personName: string;
  /** The person's own PostgreSQL role */
  login: string;
  database: string;
  method: LoginMethod;
  mode: IamMode;
  /** IAM user or role that the policy is attached to, in attached mode */
  principalArn: string | null;
  state: GrantState;
  startsAt: Date;
  endsAt: Date;
  openedAt: Date | null;
  /** Since when it is being ended */
  closingSince: Date | null;
  closedAt: Date | null;
  /** Why it ended or ends */
  closeReason: string | null;
  /** How often opening or closing was tried without success so far */
  @Field(() => Int)
  attempts: number;
  /** What stood in the way the last time */
  lastError: string | null;
  /** While it is being opened: seconds until it is tried again, when that is known */
  @Field(() => Int, { nullable: true })
  retryAfterSeconds: number | null;
  createdAt: Date;
}

@ObjectType()
export class GrantPage {
  items: Grant[];
  nextCursor: string | null;
}

@ArgsType()
export class GrantQuery {
  @IsOptional()
  @IsUUID()
  target?: string;
  @IsOptional()
  @IsUUID()
  person?: string;
  @IsOptional()
  @IsEnum(GrantState)
  state?: GrantState;
  /** Live grants by which nobody was seen connected in the last so many days, or ever */
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(366)
  @Field(() => Int, { nullable: true })
  unusedDays?: number;
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

@ArgsType()
export class GrantWait {
  /** Answer when the grant has this state or can no longer reach it, at the latest after 30 seconds */
  @IsOptional()
  @IsEnum(GrantState)
  wait?: GrantState;
}

@InputType()
export class ShortenGrant {
  /** The new end: ahead, and earlier than the present one */
  @Type(() => Date)
  @IsDate()
  endsAt: Date;
}

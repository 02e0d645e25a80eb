import { ArgsType, Field, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import { IsDate, IsEnum, IsInt, IsOptional, IsUUID, Matches, Max, MaxLength, Min } from 'class-validator';
import { LINE, READABLE } from '../platform/printable.js';

export enum DelegationState {
  /** Begins later */
  scheduled = 'scheduled',
  /** The delegate may vote */
  live = 'live',
  ended = 'ended',
}
registerEnumType(DelegationState, { name: 'DelegationState' });

/** One person lets another vote on requests in their place, until it ends. */
@ObjectType()
export class Delegation {
  id: string;
  state: DelegationState;
  /** Whose votes they are */
  delegatorId: string;
  delegatorName: string;
  /** Who gives them */
  delegateId: string;
  delegateName: string;
  reason: string;
  startsAt: Date;
  /** When it ends by itself */
  endsAt: Date;
  createdAt: Date;
  /** When it was ended before that, and why */
  endedAt: Date | null;
  endReason: string | null;
}

@ObjectType()
export class DelegationPage {
  items: Delegation[];
  nextCursor: string | null;
}

@InputType()
export class CreateDelegation {
  /** Who shall vote for you: a person by id, or by e-mail address in any case, who has called Usher once */
  @Matches(LINE)
  @MaxLength(254)
  delegate: string;
  /** Now when left out; within 90 days */
  @IsOptional()
  @IsDate()
  @Type(() => Date)
  startsAt?: Date;
  /** At most 30 days after its beginning, or what USHER_DELEGATION_MAX_DAYS says */
  @IsDate()
  @Type(() => Date)
  endsAt: Date;
  /** For the delegate, and for the record */
  @Matches(READABLE, { message: 'reason must say something, in printable characters' })
  @MaxLength(1000)
  reason: string;
}

@ArgsType()
export class DelegationQuery {
  @IsOptional()
  @IsEnum(DelegationState)
  state?: DelegationState;
  /** Who delegates, or stands in */
  @IsOptional()
  @IsUUID()
  person?: string;
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

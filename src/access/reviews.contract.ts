import { ArgsType, Field, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import { IsEnum, IsInt, IsOptional, IsUUID, Matches, Max, MaxLength, Min } from 'class-validator';
import { READABLE } from '../platform/printable.js';

export enum ReviewState {
  open = 'open',
  closed = 'closed',
}
registerEnumType(ReviewState, { name: 'ReviewState' });

/** A grant that was had by breaking the glass, until somebody other than its holder has looked at it. */
@ObjectType()
export class Review {
  /** The grant's own id: one review each */
  id: string;
  state: ReviewState;
  requestId: string;
  targetId: string;
  targetName: string;
  personId: string;
  personName: string;
  profileName: string;
  /** What the holder said the emergency was */
  reason: string;
  openedAt: Date;
  /** When the access ends or ended */
  endsAt: Date;
  closedById: string | null;
  closedByName: string | null;
  comment: string | null;
  closedAt: Date | null;
}

@ObjectType()
export class ReviewPage {
  items: Review[];
  nextCursor: string | null;
}

@InputType()
export class CloseReview {
  /** What was found */
  @Matches(READABLE, { message: 'comment must say something, in printable characters' })
  @MaxLength(1000)
  comment: string;
}

@ArgsType()
export class ReviewQuery {
  @IsOptional()
  @IsEnum(ReviewState)
  state?: ReviewState;
  @IsOptional()
  @IsUUID()
  target?: string;
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

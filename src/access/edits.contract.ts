import { Field, InputType, Int } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import { IsDate, IsInt, IsOptional, Matches, Max, MaxLength, Min } from 'class-validator';
import { LINE, READABLE } from '../platform/printable.js';

/** What a requester may change while it waits. What is left out stays. */
@InputType()
export class EditRequest {
  @IsOptional()
  @Matches(READABLE, { message: 'reason must say something, in printable characters' })
  @MaxLength(2000)
  reason?: string;
  @IsOptional()
  @Matches(LINE)
  @MaxLength(100)
  ticket?: string;
  @IsOptional()
  @IsInt()
  @Min(1, { message: 'durationMinutes must be at least 1' })
  @Max(44640)
  @Field(() => Int, { nullable: true })
  durationMinutes?: number;
  /** The present moment for at once; at most 30 days ahead */
  @IsOptional()
  @Type(() => Date)
  @IsDate()
  startsAt?: Date;
}

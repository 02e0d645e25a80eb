import { Field, InputType, Int } from '@nestjs/graphql';
import { IsInt, IsOptional, Matches, Max, MaxLength, Min } from 'class-validator';
import { LINE, READABLE } from '../platform/printable.js';

@InputType()
export class ExtendGrant {
  /** Added to the present end */
  @IsInt()
  @Min(1, { message: 'durationMinutes must be at least 1' })
  @Max(44640)
  @Field(() => Int)
  durationMinutes: number;
  /** Why more time is needed */
  @Matches(READABLE, { message: 'reason must say something, in printable characters' })
  @MaxLength(2000)
  reason: string;
  @IsOptional()
  @Matches(LINE)
  @MaxLength(100)
  ticket?: string;
}

import { Field, ID, InputType, Int, ObjectType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsEnum,
  IsInt,
  IsOptional,
  IsUUID,
  Matches,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';
import { READABLE } from '../platform/printable.js';
import { AccessRequest, Verdict } from './requests.contract.js';

/** A yes. */
@InputType()
export class Approval {
  @IsOptional()
  @Matches(READABLE)
  @MaxLength(1000)
  comment?: string;
  /** planRevision of what you looked at: a yes to an older plan is refused */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Field(() => Int, { nullable: true })
  revision?: number;
}

@InputType()
export class Comment {
  @IsOptional()
  @Matches(READABLE)
  @MaxLength(1000)
  comment?: string;
}

/** A yes or a no to one request. */
@InputType()
export class RequestDecision {
  @IsUUID()
  @Field(() => ID)
  id: string;
  @IsEnum(Verdict)
  verdict: Verdict;
  @IsOptional()
  @Matches(READABLE)
  @MaxLength(1000)
  comment?: string;
  /** Of a yes: planRevision of what you looked at */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Field(() => Int, { nullable: true })
  revision?: number;
}

@InputType()
export class DecideRequests {
  /** Taken one after the other, each for itself */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(50)
  @ValidateNested({ each: true })
  @Type(() => RequestDecision)
  decisions: RequestDecision[];
}

/** Why one of them was refused: what a call for it alone would have been answered. */
@ObjectType()
export class DecisionRefusal {
  @Field(() => Int)
  status: number;
  /** Stable name of the refusal */
  code: string;
  detail: string;
  advice: string | null;
}

/** What became of one: the request, or why not. */
@ObjectType()
export class DecisionResult {
  id: string;
  request: AccessRequest | null;
  problem: DecisionRefusal | null;
}

/** In the order in which they were asked. */
@ObjectType()
export class DecisionResults {
  results: DecisionResult[];
}

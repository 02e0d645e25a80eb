import { Field, InputType, Int, ObjectType } from '@nestjs/graphql';
import { ArrayMaxSize, ArrayMinSize, ArrayUnique, IsArray, IsIn, IsInt, IsOptional, Max, Min } from 'class-validator';
import { actions, type Action } from '../policy/policy.contract.js';

/** A key of a service, without what is secret of it. */
@ObjectType()
export class ApiKey {
  id: string;
  serviceId: string;
  /** Between `usher_` and the second underscore; no secret */
  prefix: string;
  /** Actions that it may be used for */
  scopes: string[];
  /** Id of the person who had it made */
  createdBy: string;
  createdAt: Date;
  /** From then on it is refused */
  expiresAt: Date;
  /** To the minute */
  lastUsedAt: Date | null;
  revokedAt: Date | null;
  /** The key that this one was made to follow */
  replacesId: string | null;
}

/** A key as it was just made. Shown once: Usher keeps a hash of it, and nobody can show it again. */
@ObjectType()
export class NewKey {
  /** The whole of it, to be sent as `Authorization: Bearer` */
  key: string;
  apiKey: ApiKey;
}

@InputType()
export class CreateKey {
  /** Actions of policy, such as viewTargets; actFor among them where it is to act for people, with what it is to do for them */
  @Field(() => [String])
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(actions.length)
  @ArrayUnique()
  @IsIn(actions, { each: true })
  scopes: Action[];
  /** 90 when left out */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(365)
  @Field(() => Int, { nullable: true })
  expiresInDays?: number;
}

@InputType()
export class RotateKey {
  /** How long the old key works on beside the new one; 60 when left out, 0 ends it at once. Its own end may come sooner */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(43200)
  @Field(() => Int, { nullable: true })
  overlapMinutes?: number;
  /** Of the new key; 90 when left out */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(365)
  @Field(() => Int, { nullable: true })
  expiresInDays?: number;
}

import { Field, ID, InputType, Int, ObjectType } from '@nestjs/graphql';
import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsInt,
  IsOptional,
  IsUUID,
  Matches,
  Max,
  MaxLength,
  Min,
} from 'class-validator';

/** Some of whom so many must agree, before those of the next stage may. */
@ObjectType()
export class ApprovalStage {
  name: string;
  @Field(() => Int)
  needed: number;
  /** Members of any of these may agree */
  groups: string[];
  /** Ids of people who may, whatever groups they are in */
  @Field(() => [ID])
  people: string[];
}

/** At least one group or person; a stage without groups names as many people as it needs. */
@InputType()
export class ApprovalStageInput {
  @Matches(/^[a-z][a-z0-9_-]{0,62}$/)
  name: string;
  @IsInt()
  @Min(1)
  @Max(10)
  @Field(() => Int)
  needed: number;
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(20)
  @ArrayUnique()
  @Matches(/^(?=.*\S)[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u, { each: true })
  @MaxLength(256, { each: true })
  groups?: string[];
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  @ArrayUnique()
  @IsUUID('all', { each: true })
  @Field(() => [ID], { nullable: true })
  people?: string[];
}

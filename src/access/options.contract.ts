import { ArgsType, Field, Int, ObjectType } from '@nestjs/graphql';
import { Transform, Type } from 'class-transformer';
import { IsBoolean, IsInt, IsOptional, IsUUID, Max, MaxLength, Min } from 'class-validator';
import { LoginMethod, Sensitivity, TargetEnvironment } from '../targets/targets.contract.js';

/**
 * A level of access that could be asked for, and what policy would say. Asked as the easiest question there is: for an hour, or less
 * where the profile gives less, by the first method of the profile, in mode session, with a ticket.
 */
@ObjectType()
export class AccessOption {
  targetId: string;
  targetName: string;
  environment: TargetEnvironment;
  profileId: string;
  profileName: string;
  readOnly: boolean;
  sensitivity: Sensitivity;
  @Field(() => Int)
  maxMinutes: number;
  @Field(() => [LoginMethod])
  methods: LoginMethod[];
  allowed: boolean;
  /** Where it is allowed: people who must agree */
  @Field(() => Int)
  approvalsNeeded: number;
  /** Where it is not: what can be done about it, when policy says so */
  advice: string[];
}

@ObjectType()
export class AccessOptionPage {
  items: AccessOption[];
  nextCursor: string | null;
  /** When policy was asked; at most a minute ago */
  decidedAt: Date;
}

@ArgsType()
export class AccessOptionQuery {
  @IsOptional()
  @IsUUID()
  target?: string;
  /** true: only what may be asked for; false: only what may not */
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value))
  @IsBoolean()
  allowed?: boolean;
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

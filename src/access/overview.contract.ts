import { ArgsType, Field, ID, Int, ObjectType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsUUID, Max, MaxLength, Min } from 'class-validator';
import { GrantState } from '../grants/grants.contract.js';
import { AccessOption } from './options.contract.js';

/** A grant as a review of access looks at it. */
@ObjectType()
export class HeldAccess {
  grantId: string;
  personId: string;
  personName: string;
  targetId: string;
  targetName: string;
  profileId: string;
  profileName: string;
  state: GrantState;
  /** Had in an emergency, by nobody's yes */
  breakGlass: boolean;
  startsAt: Date;
  endsAt: Date;
  closedAt: Date | null;
  closeReason: string | null;
  /** When its holder was last seen connected by it; null where nobody was */
  lastUsedAt: Date | null;
}

@ObjectType()
export class HeldAccessPage {
  items: HeldAccess[];
  nextCursor: string | null;
}

/** What a person has, had and could have. */
@ObjectType()
export class PersonAccess {
  personId: string;
  personName: string;
  /** Not over, newest first; at most 500 */
  now: HeldAccess[];
  /** Over, newest first, by pages */
  had: HeldAccessPage;
  /** What policy would let them ask for, at most 500; with their groups as of lastSeenAt: a call of theirs may bring others */
  could: AccessOption[];
  /** More could be had than is shown */
  couldMore: boolean;
  /** Groups that the answer rests on */
  groups: string[];
  lastSeenAt: Date;
}

@ArgsType()
export class HeldAccessQuery {
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

/** The same in one list of arguments, for GraphQL. */
@ArgsType()
export class PersonAccessArgs extends HeldAccessQuery {
  @IsUUID()
  @Field(() => ID)
  personId: string;
}

@ArgsType()
export class TargetAccessArgs extends HeldAccessQuery {
  @IsUUID()
  @Field(() => ID)
  targetId: string;
}

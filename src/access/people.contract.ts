import { ArgsType, Field, InputType, Int, ObjectType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import { READABLE } from '../platform/printable.js';
import { IsInt, IsOptional, Matches, Max, MaxLength, Min, MinLength } from 'class-validator';

/** Another account with the same verified e-mail address, in whatever case: the same human, to Usher. */
@ObjectType()
export class OtherAccount {
  id: string;
  name: string;
  /** The provider that names it */
  issuer: string;
  locked: boolean;
  removedAt: Date | null;
}

/** Somebody whom the OpenID provider has named. Never deleted: what was done leads here. */
@ObjectType()
export class Person {
  id: string;
  /** What the provider calls this person: e-mail, user name, else the subject */
  name: string;
  email: string | null;
  userName: string | null;
  /** The login role name that is this person's for ever; null before the first request */
  login: string | null;
  /** As of the last call */
  groups: string[];
  /** May do nothing */
  locked: boolean;
  lockedAt: Date | null;
  lockReason: string | null;
  firstSeenAt: Date;
  lastSeenAt: Date;
  /** Since when no token of this person is taken */
  removedAt: Date | null;
  /** A lock stops all of them; removing, restoring and unlocking are for one account */
  otherAccounts: OtherAccount[];
}

@ObjectType()
export class PersonPage {
  items: Person[];
  nextCursor: string | null;
}

@InputType()
export class LockPerson {
  /** For the record, and for whoever is to unlock */
  @MaxLength(1000)
  @Matches(READABLE, { message: 'reason must say something, in printable characters' })
  reason: string;
}

@ArgsType()
export class PersonQuery {
  /** Part of the name, the e-mail, the user name or the login, in any case */
  @IsOptional()
  @MinLength(1)
  @MaxLength(254)
  search?: string;
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

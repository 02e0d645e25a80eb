import { ArgsType, Field, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Transform, Type } from 'class-transformer';
import { IsBoolean, IsEnum, IsInt, IsOptional, IsUUID, Max, MaxLength, Min } from 'class-validator';

/** What a look for drift can find. docs/operations.md says of each what is done about it. */
export enum DriftKind {
  /** The target could not be looked at, or an IAM principal could not be read */
  unreachable = 'unreachable',
  /** A lease on the target that no live grant asks for */
  orphan_lease = 'orphan_lease',
  /** A login that may log in although neither a lease nor a grant lets it */
  orphan_login = 'orphan_login',
  /** A session of a login without a live grant */
  unknown_session = 'unknown_session',
  /** A live grant whose lease is gone */
  missing_lease = 'missing_lease',
  /** A lease that ends at another time than its grant */
  lease_end = 'lease_end',
  /** A login that was dropped while grants of it live */
  login_gone = 'login_gone',
  /** A live grant whose login may not log in */
  lost_login = 'lost_login',
  /** A live grant whose login is no longer a member of what was granted */
  lost_membership = 'lost_membership',
  /** A membership that no lease gives */
  extra_membership = 'extra_membership',
  /** A membership given by another role than the guard: only that role can take it back */
  foreign_grantor = 'foreign_grantor',
  /** A role attribute or connection limit that the guard did not give */
  attribute = 'attribute',
  /** VALID UNTIL is not the end of the leases: somebody altered the role, and may have set a password */
  valid_until = 'valid_until',
  /** Another role is a member of the login */
  member = 'member',
  /** The login belongs to somebody else on the target than here */
  wrong_person = 'wrong_person',
  /** Rights given to the login itself, beside its groups */
  direct_grant = 'direct_grant',
  /** A role with the marker of managed logins that the guard did not make */
  foreign_marker = 'foreign_marker',
  /** A group that reaches rds_iam, and so shuts its members out of password logins */
  iam_group = 'iam_group',
  /** An IAM policy of Usher's name without a live grant */
  policy_orphan = 'policy_orphan',
  /** The IAM policy of a live grant is gone */
  policy_missing = 'policy_missing',
  /** The IAM policy of a live grant says something else */
  policy_edited = 'policy_edited',
}
registerEnumType(DriftKind, { name: 'DriftKind' });

export enum DriftResolution {
  /** Usher mended it */
  repaired = 'repaired',
  /** It was gone at the next look */
  gone = 'gone',
}
registerEnumType(DriftResolution, { name: 'DriftResolution' });

/** A difference between what a target or IAM holds and what Usher knows, from its first to its last sighting. */
@ObjectType()
export class DriftFinding {
  id: string;
  targetId: string;
  kind: DriftKind;
  /** Login, role or IAM policy that it is about; with the kind it names the finding on its target */
  subject: string;
  /** What was found */
  message: string;
  /** What a repair does about it, or what only the DBA can do */
  remedy: string;
  /** A repair can mend it; the others are only told */
  repairable: boolean;
  login: string | null;
  grantId: string | null;
  /** When a repair was last begun; null when none was */
  repairedAt: Date | null;
  foundAt: Date;
  lastSeenAt: Date;
  resolvedAt: Date | null;
  resolution: DriftResolution | null;
}

@ObjectType()
export class DriftFindingPage {
  items: DriftFinding[];
  nextCursor: string | null;
}

/** What one look at a target found. */
@ObjectType()
export class DriftLook {
  targetId: string;
  /** When the target was last looked at with success; null when it never was */
  lookedAt: Date | null;
  /** Everything that is open on this target now, newest first */
  findings: DriftFinding[];
}

@ArgsType()
export class DriftQuery {
  @IsOptional()
  @IsUUID()
  target?: string;
  @IsOptional()
  @IsEnum(DriftKind)
  kind?: DriftKind;
  /** true: only what is not resolved */
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value))
  @IsBoolean()
  open?: boolean;
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

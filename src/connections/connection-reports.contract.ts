import { ArgsType, Field, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import { IsEnum, IsInt, IsOptional, IsUUID, Max, Min } from 'class-validator';
import { GrantState } from '../grants/grants.contract.js';
import { PersonQuestion, TargetQuestion, YesOrNo } from './connection-questions.contract.js';
import { ConnectionGap } from './connections.contract.js';

/** What would happen to a client when the certificate authority of the server is changed. */
export enum CaRotation {
  /** It used no TLS, and so verifies nothing */
  no_tls = 'no_tls',
  /** All its sessions named themselves as recipes of Usher do; their bundle holds every authority of the region */
  recipe = 'recipe',
  /** The server cannot see whether it verifies: it goes on only if it does not, or if its bundle holds the new authority */
  unknown = 'unknown',
}
registerEnumType(CaRotation, { name: 'CaRotation' });

/** Which clients to show. */
export enum TlsConcern {
  /** Without TLS, or below 1.2 */
  weak = 'weak',
  /** Those that would be shut out by rds.force_ssl */
  force_ssl = 'force_ssl',
  /** Those that may be shut out when the authority is changed */
  ca_rotation = 'ca_rotation',
  all = 'all',
}
registerEnumType(TlsConcern, { name: 'TlsConcern' });

/** A login with an application, from one address, on one target. */
@ObjectType()
export class TlsClient {
  targetId: string;
  login: string;
  personId: string | null;
  personName: string | null;
  /** Chosen by the client; sessions by recipes of Usher stand together as usher */
  applicationName: string | null;
  clientAddress: string | null;
  @Field(() => Int)
  sessions: number;
  @Field(() => Int)
  withoutTls: number;
  /** Below TLS 1.2 */
  @Field(() => Int)
  oldTls: number;
  lastSeenAt: Date;
  /** Of those without TLS; null when there was none */
  lastWithoutTlsAt: Date | null;
  /** Sessions of it would be refused with rds.force_ssl = 1 */
  forceSslBreaks: boolean;
  caRotation: CaRotation;
}

@ObjectType()
export class TlsReport {
  from: Date;
  to: Date;
  /** Seen last first, 500 at most */
  clients: TlsClient[];
  /** How many more there are */
  @Field(() => Int)
  leftOut: number;
  gaps: ConnectionGap[];
}

@ArgsType()
export class TlsQuery {
  @IsOptional()
  @IsUUID()
  target?: string;
  @IsOptional()
  @IsUUID()
  person?: string;
  @IsOptional()
  @IsEnum(TlsConcern)
  concern?: TlsConcern;
  /** How far to look back; 30 when left out */
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(400)
  @Field(() => Int, { nullable: true })
  days?: number;
}

/** How a grant was used. */
@ObjectType()
export class GrantUse {
  grantId: string;
  targetId: string;
  profileId: string;
  profileName: string;
  personId: string;
  personName: string;
  login: string;
  state: GrantState;
  startsAt: Date;
  endsAt: Date;
  @Field(() => Int)
  sessions: number;
  firstUsedAt: Date | null;
  /** Null when nobody was seen by it; see gaps */
  lastUsedAt: Date | null;
}

@ObjectType()
export class GrantUsePage {
  items: GrantUse[];
  nextCursor: string | null;
  gaps: ConnectionGap[];
}

@ArgsType()
export class GrantUseQuery extends PersonQuestion {
  @IsOptional()
  @IsUUID()
  profile?: string;
  /** true: only those by which nobody was seen; false: only others */
  @YesOrNo()
  unused?: boolean;
}

/** How a profile was used, by grants that its reader may see. */
@ObjectType()
export class ProfileUse {
  profileId: string;
  profileName: string;
  targetId: string;
  @Field(() => Int)
  grants: number;
  @Field(() => Int)
  sessions: number;
  lastGrantedAt: Date | null;
  /** Null when nobody was seen by it; see gaps */
  lastUsedAt: Date | null;
}

@ObjectType()
export class ProfileUsePage {
  items: ProfileUse[];
  nextCursor: string | null;
  gaps: ConnectionGap[];
}

@ArgsType()
export class ProfileUseQuery extends TargetQuestion {}

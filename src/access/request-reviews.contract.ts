import { Field, Int, ObjectType } from '@nestjs/graphql';
import { GrantState } from '../grants/grants.contract.js';
import { AccessRequest } from './requests.contract.js';

@ObjectType()
export class NamedPerson {
  id: string;
  name: string;
}

/** A stage with who may still agree in it. */
@ObjectType()
export class StageReview {
  name: string;
  @Field(() => Int)
  needed: number;
  @Field(() => Int)
  agreed: number;
  open: boolean;
  /** Members of any of these; with people, none means whoever policy lets */
  groups: string[];
  /** Of those whom it names, who is here, has not voted yet and did not ask */
  people: NamedPerson[];
}

/** Access that the requester has by now, on whichever target. */
@ObjectType()
export class RequesterAccess {
  grantId: string;
  targetId: string;
  targetName: string;
  profileId: string;
  profileName: string;
  state: GrantState;
  startsAt: Date;
  endsAt: Date;
}

/** Earlier requests of the same person for the same profile. */
@ObjectType()
export class EarlierRequests {
  @Field(() => Int)
  count: number;
  /** The latest of them */
  last: AccessRequest | null;
}

/** What an approver judges a request by. */
@ObjectType()
export class RequestReview {
  request: AccessRequest;
  /** Owners of the target, whom the policy that Usher ships with lets approve where no stage names anybody */
  ownerGroup: string;
  stages: StageReview[];
  /** Those who let you vote for them, and for whom you may agree now; one human has one vote all the same */
  inPlaceOf: NamedPerson[];
  /** Newest first, 50 at the most; GET /v1/grants has all that you may see */
  held: RequesterAccess[];
  @Field(() => Int)
  heldCount: number;
  /** When the requester was last seen connected to this target; null for never */
  lastUsedAt: Date | null;
  earlier: EarlierRequests;
}

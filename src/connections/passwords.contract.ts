import { Field, InputType, Int, ObjectType } from '@nestjs/graphql';
import { ConnectRecipe, ConnectTls, WayInput } from './tokens.contract.js';

/** A login password. Shown once, kept nowhere: the target has a verifier of it, and Usher nothing. */
@ObjectType()
export class LoginPassword {
  password: string;
  issuedAt: Date;
  /** The end of the grant, when its sessions end too. Asking again replaces the password at once */
  expiresAt: Date;
  host: string;
  @Field(() => Int)
  port: number;
  database: string;
  user: string;
  tls: ConnectTls;
  recipes: ConnectRecipe[];
  warnings: string[];
}

/** Whichever endpoint the answer is for, the password is good for all but a proxy. */
@InputType()
export class IssuePassword extends WayInput {}

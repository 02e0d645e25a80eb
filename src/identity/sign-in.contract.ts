/** A provider at which people sign in, with what a program needs to let them (RFC 8628, the device flow). */
export class SignInProvider {
  issuer: string;
  /** What an access token must be for */
  audience: string;
  /** The client as which a command line may sign people in; null: none is set up for that */
  clientId: string | null;
  /** What such a client asks for */
  scope: string;
  /** Null: not offered, or the provider cannot be asked just now */
  deviceAuthorizationEndpoint: string | null;
  /** Null: not offered, or the provider cannot be asked just now */
  tokenEndpoint: string | null;
}

/** How to come by an access token. */
export class SignIn {
  providers: SignInProvider[];
}

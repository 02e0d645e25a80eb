/** The people of the demo, as the provider knows them. */

export interface Person {
  /** What one logs in as (`login_hint`), and `preferred_username`. */
  readonly name: string;
  /** `sub`: opaque on purpose, so that nobody comes to rely on it being the name. */
  readonly subject: string;
  readonly email: string;
  readonly groups: readonly string[];
  /** ARN of the person's own IAM user or role, for the claim `aws_principal`. */
  readonly awsPrincipal?: string;
}

const person = (name: string, subject: string, groups: readonly string[]): Person => ({
  name,
  subject,
  email: `${name}@example.com`,
  groups,
});

/** alice asks, bob owns `orders`, carol audits, dave administers and owns `billing`. */
export const defaultPeople: readonly Person[] = [
  person('alice', '00u1a7kq2a', ['engineers']),
  person('bob', '00u1b3xw9b', ['orders-owners', 'engineers']),
  person('carol', '00u1c8mz4c', ['auditors']),
  person('dave', '00u1d5pt6d', ['admins', 'billing-owners']),
];

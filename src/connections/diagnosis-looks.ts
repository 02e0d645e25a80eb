import { Injectable } from '@nestjs/common';
import { connectPolicy, dbUserArn } from '../aws/connect-policy.js';
import { IamService } from '../aws/iam.service.js';
import { StsService } from '../aws/sts.service.js';
import type { GrantRow } from '../grants/grant.js';
import { DomainError } from '../platform/errors.js';
import { TargetAccess } from '../targets/target-access.service.js';
import { targetProblems } from '../targets/target.js';
import { TrustService } from '../targets/trust.service.js';
import { fault, ok, skipped, unknown, type Hop } from './diagnosis-hop.js';
import { databaseHop, guardHop, limitHop, methodHop, roleHop } from './diagnosis-target.js';
import { lookAtTls } from './diagnosis-tls.js';
import { SKEW_MS } from './diagnosis-token.js';
import type { Way } from './way-in.js';

const said = (error: unknown): DomainError => {
  if (error instanceof DomainError) return error;
  throw error;
};

/** What is looked at outside of Usher for a diagnosis: the endpoint, the target, IAM. Nothing is changed anywhere. */
@Injectable()
export class DiagnosisLooks {
  constructor(
    private readonly access: TargetAccess,
    private readonly trust: TrustService,
    private readonly sts: StsService,
    private readonly iam: IamService,
  ) {}

  /** The endpoint as a client meets it, and only one that is registered. */
  async atEndpoint(target: GrantRow['target'], endpoint: Way, now: Date): Promise<Hop[]> {
    try {
      const advice = this.trust.advice(target, endpoint);
      const { authority } = advice;
      const { pem } = await this.trust.roots(target, authority);
      const servername = advice.mode === 'verify-full' ? advice.servername : null;
      const { connectHost: host, port } = endpoint;
      return await lookAtTls({ host, port, servername, ca: pem, authority }, now);
    } catch (error) {
      const { message, advice } = said(error);
      return [unknown('tls', message, advice ?? null)];
    }
  }

  /** What the target's server and guard say of this grant. */
  async atTarget(grant: GrantRow, now: Date): Promise<Hop[]> {
    const { target, login, database } = grant;
    try {
      const session = await this.access.writer(target);
      const hello = await session.hello();
      const [role] = await session.inspect([login]);
      const facts = await session.facts({ roles: [login], databases: [database] });
      const ahead = Math.round((now.getTime() - facts.clock.getTime()) / 60_000);
      return [
        guardHop(hello, grant.state),
        roleHop(grant, grant.profile.groups, role),
        methodHop(grant, facts),
        limitHop(grant, role, facts),
        databaseHop(grant, facts),
        Math.abs(now.getTime() - facts.clock.getTime()) > SKEW_MS
          ? fault(
              'clock',
              `Usher's clock and that of the server are ${Math.abs(ahead)} minutes apart: tokens of Usher's are refused.`,
              'Whoever runs Usher sets the clock of its machine: chronyc tracking.',
            )
          : ok('clock', "Usher's clock and that of the server agree."),
      ];
    } catch (error) {
      const { message, advice } = said(error);
      return [
        fault('guard', message, advice ?? 'It is tried again by itself.'),
        ...(['role', 'method', 'limit', 'database'] as const).map((name) =>
          skipped(name, 'The target was not reached.'),
        ),
      ];
    }
  }

  /** What a policy must name, and whether it is an id of the right kind. */
  resource({ target, login }: GrantRow): { arn: string | null; hop: Hop } {
    const wrong = targetProblems(target).find(({ field }) => field === 'resourceId');
    const cure = `An administrator corrects it: PATCH /v1/targets/${target.id} with the DbiResourceId of an instance, the DbClusterResourceId of a cluster (never the db- of a member), or the prx-… that ends the ARN of a proxy.`;
    if (wrong) return { arn: null, hop: fault('resource', wrong.message, cure) };
    try {
      const arn = dbUserArn({ ...target, user: login });
      return { arn, hop: ok('resource', `IAM is asked about ${arn}.`) };
    } catch (error) {
      return { arn: null, hop: fault('resource', said(error).message, cure) };
    }
  }

  /** Whether whoever signs may connect, as far as that can be seen: boundaries and SCPs show themselves at the login alone. */
  async atIam(grant: GrantRow, arn: string, sessionName: string): Promise<Hop> {
    try {
      return grant.mode === 'session'
        ? await this.connectRole(grant, arn, sessionName)
        : await this.attached(grant.principalArn ?? '', arn);
    } catch (error) {
      const { code, message, advice } = said(error);
      const cure = advice ?? 'Try again in a moment.';
      return code === 'aws_unavailable' ? unknown('iam', message, cure) : fault('iam', message, cure);
    }
  }

  private async connectRole({ target }: GrantRow, arn: string, sessionName: string): Promise<Hop> {
    const { partition, region, accountId, connectRole } = target;
    await this.sts.assumeConnectRole({
      ...{ partition, region, accountId, sessionName, sourceIdentity: sessionName, durationSeconds: 900 },
      ...(connectRole !== null && { roleName: connectRole }),
      policy: connectPolicy([arn]),
    });
    return ok(
      'iam',
      `Usher can take the connect role in ${accountId}. That its policy, its boundary and the SCPs allow rds-db:connect on ${arn} shows at the login alone.`,
    );
  }

  private async attached(principalArn: string, arn: string): Promise<Hop> {
    const policies = await this.iam.readScopedPolicies(principalArn);
    if (policies.some((policy) => names(policy, arn)))
      return ok(
        'iam',
        `A policy of Usher's on ${principalArn} names ${arn}; a boundary or an SCP may still deny it, and changes take up to a minute.`,
      );
    return fault(
      'iam',
      `No policy of Usher's on ${principalArn} names ${arn}: it was taken off or changed by hand.`,
      'An administrator calls POST /v1/targets/{id}/drift, which writes it again.',
    );
  }
}

/** Whole, so that a user whose name goes on after it is somebody else; in whatever form the policy was read. */
const names = (policy: object, arn: string): boolean => {
  const text = JSON.stringify(policy);
  return text.includes(`${arn}"`) || text.includes(`${arn}\\"`);
};

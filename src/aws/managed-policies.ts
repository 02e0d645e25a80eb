import {
  CreatePolicyCommand,
  CreatePolicyVersionCommand,
  DeletePolicyCommand,
  DeletePolicyVersionCommand,
  GetPolicyVersionCommand,
  type IAMClient,
  ListPoliciesCommand,
  ListPolicyVersionsCommand,
} from '@aws-sdk/client-iam';
import { inNumbers, type OwnPolicy } from './packing-slot.js';
import type { Principal } from './principal.js';

/** The managed policies of Usher's own for one principal. Throws what the SDK throws. */
export class ManagedPolicies {
  constructor(
    private readonly client: IAMClient,
    private readonly principal: Principal,
  ) {}

  /** Its own path for each principal: what was detached is found without reading the policies of all others. */
  get path(): string {
    return `/usher/${this.principal.kind}/${this.principal.name}/`;
  }

  /** At most 128 characters, as IAM asks: names of principals have at most 64. Unique in the account without its path. */
  name(number: number): string {
    return `usher-${this.principal.kind}-${this.principal.name}-${number}`;
  }

  arn(name: string): string {
    return `arn:${this.principal.partition}:iam::${this.principal.accountId}:policy${this.path}${name}`;
  }

  /** Those of Usher's name on the path, attached or not. */
  async read(attached: ReadonlySet<string>): Promise<OwnPolicy[]> {
    const read: OwnPolicy[] = [];
    let Marker: string | undefined;
    do {
      const ask = new ListPoliciesCommand({ Scope: 'Local', PathPrefix: this.path, Marker });
      const page = await this.client.send(ask);
      for (const { PolicyName = '', Arn = '', DefaultVersionId = '' } of page.Policies ?? []) {
        if (!this.isOurs(PolicyName, Arn)) continue;
        const document = await this.document(Arn, DefaultVersionId);
        const oldVersions = (await this.versions(Arn)).filter((version) => version !== DefaultVersionId);
        read.push({ place: 'managed', name: PolicyName, attached: attached.has(Arn), document, oldVersions });
      }
      Marker = page.IsTruncated ? page.Marker : undefined;
    } while (Marker !== undefined);
    return read;
  }

  isOurs(name: string, arn: string): boolean {
    const number = name.slice(this.name(0).length - 1);
    return arn === this.arn(name) && /^[1-9]\d{0,5}$/.test(number) && name === this.name(Number(number));
  }

  async create(name: string, PolicyDocument: string): Promise<void> {
    const Description = 'Written by Usher from live grants; a change by hand is undone.';
    await this.client.send(new CreatePolicyCommand({ PolicyName: name, Path: this.path, PolicyDocument, Description }));
  }

  async createVersion(name: string, PolicyDocument: string): Promise<void> {
    const ask = { PolicyArn: this.arn(name), PolicyDocument, SetAsDefault: true };
    await this.client.send(new CreatePolicyVersionCommand(ask));
  }

  async deleteVersion(name: string, VersionId: string): Promise<void> {
    await this.client.send(new DeletePolicyVersionCommand({ PolicyArn: this.arn(name), VersionId }));
  }

  async delete(name: string): Promise<void> {
    await this.client.send(new DeletePolicyCommand({ PolicyArn: this.arn(name) }));
  }

  private async document(PolicyArn: string, VersionId: string): Promise<string> {
    const answer = await this.client.send(new GetPolicyVersionCommand({ PolicyArn, VersionId }));
    return decodeURIComponent(answer.PolicyVersion?.Document ?? '');
  }

  /** Oldest first; a policy has so few that they are one page. */
  private async versions(PolicyArn: string): Promise<string[]> {
    const answer = await this.client.send(new ListPolicyVersionsCommand({ PolicyArn }));
    return (answer.Versions ?? []).map(({ VersionId = '' }) => VersionId).sort(inNumbers);
  }
}

import type { IAMClient } from '@aws-sdk/client-iam';
import { askAws, awsFault, codeOf, isNoSuchEntity } from './aws-fault.js';
import { connectPolicy } from './connect-policy.js';
import { DomainError } from '../platform/errors.js';
import { inlinePolicies, type InlinePolicies } from './inline-policies.js';
import { ManagedPolicies } from './managed-policies.js';
import type { OwnPolicy } from './packing-slot.js';
import type { PolicyWrite, PrincipalPolicies } from './packing-task.js';
import type { Principal } from './principal.js';

/** Inline policies of Usher's start so; no other is ever written or deleted. */
const PREFIX = 'usher-';

/** The policies of one principal as they are in IAM: read whole, written one by one. */
export class PoliciesOfPrincipal {
  readonly managed: ManagedPolicies;
  private readonly calls: InlinePolicies;

  constructor(
    client: IAMClient,
    private readonly principal: Principal,
  ) {
    this.calls = inlinePolicies(client, principal);
    this.managed = new ManagedPolicies(client, principal);
  }

  /** ARN of whoever has this name in the account; undefined when nobody has. */
  async arn(): Promise<string | undefined> {
    try {
      return await this.calls.arn();
    } catch (thrown) {
      if (isNoSuchEntity(thrown)) return undefined;
      throw awsFault(thrown, this.call('Get{}'));
    }
  }

  /** Ours with what they say, of all others only what they take of the quotas. */
  async read(): Promise<PrincipalPolicies> {
    const names = await this.inlineNames();
    const [own, others] = [names.filter((name) => name.startsWith(PREFIX)), names.filter((n) => !n.startsWith(PREFIX))];
    const inline = await this.inlineDocuments(own);
    const otherInline = (await this.inlineDocuments(others)).reduce(
      (sum, { document }) => sum + document.replace(/\s/g, '').length,
      0,
    );
    const attached = await this.attached();
    const call = { action: 'iam:ListPolicies, iam:GetPolicyVersion, iam:ListPolicyVersions', on: this.managed.path };
    const managed = await askAws(call, () => this.managed.read(attached));
    const ours = managed.filter((policy) => policy.attached).length;
    return { own: [...inline, ...managed], otherInline, otherAttached: attached.size - ours };
  }

  /**
   * What is to be taken away and is not there is done; what cannot be deleted, as somebody attached it elsewhere, stays. That a quota is met although there was room a moment ago is no
   * refusal: what was read may have been old, and is read anew at the next try.
   */
  async write(write: PolicyWrite): Promise<void> {
    const [action, send] = this.sendOf(write);
    try {
      await send();
    } catch (thrown) {
      const removes = /^(?:delete|detach)/.test(write.kind);
      if (removes && (isNoSuchEntity(thrown) || /^DeleteConflict/.test(codeOf(thrown)))) return;
      if (/^(?:LimitExceeded|EntityAlreadyExists|ConcurrentModification)/.test(codeOf(thrown)))
        throw changedMeanwhile(this.call(action).action, this.principal.arn, codeOf(thrown));
      throw awsFault(thrown, this.call(action));
    }
  }

  private sendOf(write: PolicyWrite): [string, () => Promise<void>] {
    const { managed, calls } = this;
    const { name } = write;
    switch (write.kind) {
      case 'putInline':
        return ['Put{}Policy', () => calls.put(name, textOf(write.arns))];
      case 'deleteInline':
        return ['Delete{}Policy', () => calls.remove(name)];
      case 'attach':
        return ['Attach{}Policy', () => calls.attach(managed.arn(name))];
      case 'detach':
        return ['Detach{}Policy', () => calls.detach(managed.arn(name))];
      case 'createPolicy':
        return ['CreatePolicy', () => managed.create(name, textOf(write.arns))];
      case 'createVersion':
        return ['CreatePolicyVersion', () => managed.createVersion(name, textOf(write.arns))];
      case 'deleteVersion':
        return ['DeletePolicyVersion', () => managed.deleteVersion(name, write.version)];
      case 'deletePolicy':
        return ['DeletePolicy', () => managed.delete(name)];
    }
  }

  private async inlineNames(): Promise<string[]> {
    const names: string[] = [];
    let marker: string | undefined;
    do {
      const from = marker;
      const page = await askAws(this.call('List{}Policies'), () => this.calls.page(from));
      names.push(...(page.PolicyNames ?? []));
      marker = page.IsTruncated ? page.Marker : undefined;
    } while (marker !== undefined);
    return names;
  }

  /** Without those that went away between the listing and the reading. */
  private async inlineDocuments(names: readonly string[]): Promise<OwnPolicy[]> {
    const read: OwnPolicy[] = [];
    for (const name of names)
      try {
        const document = decodeURIComponent((await this.calls.encodedDocument(name)) ?? '');
        read.push({ place: 'inline', name, attached: true, document, oldVersions: [] });
      } catch (thrown) {
        if (!isNoSuchEntity(thrown)) throw awsFault(thrown, this.call('Get{}Policy'));
      }
    return read;
  }

  private async attached(): Promise<Set<string>> {
    const arns = new Set<string>();
    let marker: string | undefined;
    do {
      const from = marker;
      const page = await askAws(this.call('ListAttached{}Policies'), () => this.calls.attachedPage(from));
      for (const { PolicyArn } of page.AttachedPolicies ?? []) if (PolicyArn !== undefined) arns.add(PolicyArn);
      marker = page.IsTruncated ? page.Marker : undefined;
    } while (marker !== undefined);
    return arns;
  }

  /** @param name the IAM action with `{}` for User or Role */
  private call(name: string) {
    const kind = this.principal.kind === 'user' ? 'User' : 'Role';
    return { action: `iam:${name.replace('{}', kind)}`, on: this.principal.arn };
  }
}

const textOf = (arns: readonly string[]): string => JSON.stringify(connectPolicy(arns));

const changedMeanwhile = (action: string, arn: string, code: string): DomainError =>
  new DomainError(
    'unavailable',
    'aws_unavailable',
    `${action} on ${arn} was refused (${code}): its policies changed after they were read.`,
    'They are read anew and it is tried again.',
    { retryAfterSeconds: 5 },
  );

import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { Account, AccountCheck, CheckAccount, CreateAccount, UpdateAccount } from './accounts.contract.js';
import { AccountsService } from './accounts.service.js';

@Resolver(() => Account)
export class AccountsResolver {
  constructor(private readonly accounts: AccountsService) {}

  @Mutation(() => Account)
  @Requires('administerAccounts')
  createAccount(@Caller() actor: Actor, @Args('input') input: CreateAccount): Promise<Account> {
    return this.accounts.create(actor, input);
  }

  @Query(() => [Account], { name: 'accounts' })
  @Requires('viewAccounts')
  list(@Caller() actor: Actor): Promise<Account[]> {
    return this.accounts.list(actor);
  }

  @Query(() => Account, { name: 'account' })
  @Requires('viewAccounts')
  get(@Caller() actor: Actor, @Args('id', { type: () => ID }) id: string): Promise<Account> {
    return this.accounts.get(actor, id);
  }

  @Mutation(() => Account)
  @Requires('administerAccounts')
  updateAccount(
    @Caller() actor: Actor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: UpdateAccount,
  ): Promise<Account> {
    return this.accounts.update(actor, id, input);
  }

  @Mutation(() => Account)
  @Requires('administerAccounts')
  deleteAccount(@Caller() actor: Actor, @Args('id', { type: () => ID }) id: string): Promise<Account> {
    return this.accounts.delete(actor, id);
  }

  @Mutation(() => AccountCheck)
  @Requires('administerAccounts')
  checkAccount(
    @Caller() actor: Actor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input', { nullable: true }) input?: CheckAccount,
  ): Promise<AccountCheck> {
    return this.accounts.check(actor, id, input ?? {});
  }
}

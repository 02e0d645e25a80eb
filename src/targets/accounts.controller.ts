import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { Account, AccountCheck, CheckAccount, CreateAccount, UpdateAccount } from './accounts.contract.js';
import { AccountsService } from './accounts.service.js';

@ApiTags('accounts')
@ApiBearerAuth()
@Controller('v1/accounts')
export class AccountsController {
  constructor(private readonly accounts: AccountsService) {}

  /** Register an AWS account, and the role by which Usher enters it */
  @Post()
  @Requires('administerAccounts')
  create(@Caller() actor: Actor, @Body() input: CreateAccount): Promise<Account> {
    return this.accounts.create(actor, input);
  }

  /** Registered AWS accounts, by name */
  @Get()
  @Requires('viewAccounts')
  list(@Caller() actor: Actor): Promise<Account[]> {
    return this.accounts.list(actor);
  }

  /** One AWS account */
  @Get(':id')
  @Requires('viewAccounts')
  get(@Caller() actor: Actor, @Param('id') id: string): Promise<Account> {
    return this.accounts.get(actor, id);
  }

  /** Change the way into an AWS account */
  @Patch(':id')
  @Requires('administerAccounts')
  update(@Caller() actor: Actor, @Param('id') id: string, @Body() input: UpdateAccount): Promise<Account> {
    return this.accounts.update(actor, id, input);
  }

  /** Take an AWS account off the register; refused while targets in it are registered */
  @Delete(':id')
  @HttpCode(200)
  @Requires('administerAccounts')
  delete(@Caller() actor: Actor, @Param('id') id: string): Promise<Account> {
    return this.accounts.delete(actor, id);
  }

  /** Enter the account, and say which of the permissions that Usher needs there answer */
  @Post(':id/check')
  @HttpCode(200)
  @Requires('administerAccounts')
  check(@Caller() actor: Actor, @Param('id') id: string, @Body() input?: CheckAccount): Promise<AccountCheck> {
    return this.accounts.check(actor, id, input ?? {});
  }
}

import 'reflect-metadata';
import { Controller, Get, Injectable, Module, Post, type Type } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Query, ResolveField, Resolver, Subscription, Mutation } from '@nestjs/graphql';
import { Test } from '@nestjs/testing';
import { expect, test } from 'vitest';
import { assertEveryRouteNamesItsAction } from './coverage.js';
import type { Action } from './policy.contract.js';
import { Public, Requires } from './requires.js';

abstract class Listing {
  @Get('inherited')
  inherited(): string {
    return '';
  }
}

@Controller('good')
class GoodController {
  @Get()
  @Requires('viewTargets')
  list(): string {
    return this.notARoute();
  }

  @Get('live')
  @Public('says only that the process answers')
  live(): string {
    return '';
  }

  notARoute(): string {
    return '';
  }
}

@Resolver('Target')
class GoodResolver {
  @Query(() => String)
  @Requires('viewTargets')
  targets(): string {
    return '';
  }
}

@Controller('bad')
class BadController extends Listing {
  @Post()
  forgotten(): string {
    return '';
  }

  @Get('typo')
  @Requires('viewTarget' as Action)
  misspelt(): string {
    return '';
  }

  @Get('constructor')
  @Requires('constructor' as Action)
  prototypal(): string {
    return '';
  }

  @Get('both')
  @Requires('viewTargets')
  @Public('because')
  both(): string {
    return '';
  }

  @Get('why')
  @Public(' ')
  unexplained(): string {
    return '';
  }
}

@Resolver('Grant')
class BadResolver {
  @Query(() => String)
  query(): string {
    return '';
  }

  @Mutation(() => String)
  mutation(): string {
    return '';
  }

  @Subscription(() => String)
  subscription(): string {
    return '';
  }

  @ResolveField(() => String)
  field(): string {
    return '';
  }
}

@Injectable()
class Sneaky {
  @Query(() => String)
  withoutResolver(): string {
    return '';
  }
}

async function check(controllers: Type[], providers: Type[]) {
  @Module({ imports: [DiscoveryModule], controllers, providers })
  class App {}
  const app = await Test.createTestingModule({ imports: [App] }).compile();
  try {
    return assertEveryRouteNamesItsAction(app);
  } finally {
    await app.close();
  }
}

test('handlers that say what they require pass, and are listed', async () => {
  expect(await check([GoodController], [GoodResolver])).toEqual([
    { handler: 'GoodController.list', requires: 'viewTargets' },
    { handler: 'GoodController.live', public: 'says only that the process answers' },
    { handler: 'GoodResolver.targets', requires: 'viewTargets' },
  ]);
});

test('every handler that does not is named, with its fault', async () => {
  const error: unknown = await check([GoodController, BadController], [BadResolver, Sneaky]).catch(
    (thrown: unknown) => thrown,
  );
  const neither = "has neither @Requires('action') nor @Public('why')";
  expect(error instanceof Error && error.message.split('\n').slice(1)).toEqual([
    '  BadController.both has both @Requires and @Public',
    `  BadController.forgotten ${neither}`,
    `  BadController.inherited ${neither}`,
    '  BadController.misspelt requires the unknown action "viewTarget"',
    '  BadController.prototypal requires the unknown action "constructor"',
    '  BadController.unexplained is @Public without a reason',
    `  BadResolver.field ${neither}`,
    `  BadResolver.mutation ${neither}`,
    `  BadResolver.query ${neither}`,
    `  BadResolver.subscription ${neither}`,
    `  Sneaky.withoutResolver ${neither}`,
  ]);
});

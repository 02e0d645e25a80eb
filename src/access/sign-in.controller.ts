import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { SignIn } from '../identity/sign-in.contract.js';
import { SignInService } from '../identity/sign-in.service.js';
import { Public } from '../policy/requires.js';

@ApiTags('people')
@Controller('v1/sign-in')
export class SignInController {
  constructor(private readonly signIn: SignInService) {}

  /** Where to get an access token: for programs that sign people in by the device flow. GraphQL, which needs one, has no twin */
  @Get()
  @Public('who has no token yet must learn where to get one; it tells addresses that providers publish themselves')
  tell(): Promise<SignIn> {
    return this.signIn.tell();
  }
}

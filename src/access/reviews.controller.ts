import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { CloseReview, Review, ReviewPage, ReviewQuery } from './reviews.contract.js';
import { ReviewsService } from './reviews.service.js';

@ApiTags('reviews')
@ApiBearerAuth()
@Controller('v1/reviews')
export class ReviewsController {
  constructor(private readonly reviews: ReviewsService) {}

  /** Emergencies that you may see, newest first; state=open are those that nobody has looked at yet */
  @Get()
  @Requires('viewReviews')
  list(@Caller() actor: PersonActor, @Query() query: ReviewQuery): Promise<ReviewPage> {
    return this.reviews.list(actor, query);
  }

  /** Say what was found about an emergency; never one's own */
  @Post(':id/close')
  @HttpCode(200)
  @Requires('closeReview')
  close(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input: CloseReview): Promise<Review> {
    return this.reviews.close(actor, id, input.comment);
  }
}

import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { CloseReview, Review, ReviewPage, ReviewQuery } from './reviews.contract.js';
import { ReviewsService } from './reviews.service.js';

@Resolver(() => Review)
export class ReviewsResolver {
  constructor(private readonly reviews: ReviewsService) {}

  @Query(() => ReviewPage, { name: 'reviews' })
  @Requires('viewReviews')
  list(@Caller() actor: PersonActor, @Args() query: ReviewQuery): Promise<ReviewPage> {
    return this.reviews.list(actor, query);
  }

  @Mutation(() => Review)
  @Requires('closeReview')
  closeReview(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: CloseReview,
  ): Promise<Review> {
    return this.reviews.close(actor, id, input.comment);
  }
}

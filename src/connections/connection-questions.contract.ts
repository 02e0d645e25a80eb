import { applyDecorators } from '@nestjs/common';
import { ArgsType, Field, Int } from '@nestjs/graphql';
import { Transform, Type } from 'class-transformer';
import { IsBoolean, IsDate, IsInt, IsOptional, IsUUID, Max, MaxDate, MaxLength, Min, MinDate } from 'class-validator';

/** What every list about connections can be asked: of which target, and which page. */
@ArgsType()
export class TargetQuestion {
  @IsOptional()
  @IsUUID()
  target?: string;
  @IsOptional()
  @MaxLength(100)
  cursor?: string;
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(200)
  @Field(() => Int, { nullable: true })
  limit?: number;
}

/** And, where it is about people, of whom. */
@ArgsType()
export class PersonQuestion extends TargetQuestion {
  @IsOptional()
  @IsUUID()
  person?: string;
}

/** A moment that may be left out. */
export const Moment = (): PropertyDecorator =>
  applyDecorators(
    IsOptional(),
    Type(() => Date),
    IsDate(),
    MinDate(new Date('2000-01-01')),
    MaxDate(new Date('2200-01-01')),
  );

/** Yes or no, as words of a query too, that may be left out. */
export const YesOrNo = (): PropertyDecorator =>
  applyDecorators(
    IsOptional(),
    Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value)),
    IsBoolean(),
  );

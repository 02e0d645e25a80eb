import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import metadata from './metadata.js';
import { Problem } from './platform/http/problem.contract.js';

const credentials =
  'An access token of the OpenID provider, or the API key of a service. With a key, Usher-On-Behalf-Of (id or e-mail) and Usher-On-Behalf-Of-Token (an access token) say for whom the service calls.';

const METHODS = ['get', 'post', 'patch', 'delete', 'put'] as const;

/** The API as OpenAPI, made of the contracts and the controllers; what holds for every route is added here once. */
export async function openApi(app: NestFastifyApplication): Promise<OpenAPIObject> {
  await SwaggerModule.loadPluginMetadata(metadata);
  const config = new DocumentBuilder()
    .setTitle('Usher')
    .setDescription('Access to Amazon RDS and Aurora PostgreSQL: ask, be approved, connect, be cut off, and prove it')
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: credentials })
    .build();
  const document = SwaggerModule.createDocument(app, config, { extraModels: [Problem] });
  for (const path of Object.values(document.paths))
    for (const method of METHODS) {
      const operation = path[method];
      if (!operation) continue;
      operation.responses['default'] = problem;
      if (method !== 'get') operation.parameters = [...(operation.parameters ?? []), idempotencyKey];
    }
  return document;
}

const problem = {
  description: 'Refused, with the reason and what to do (RFC 9457)',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header' as const,
  required: false,
  description: 'The same key with the same body gives the same answer and one effect; with another body 409',
  schema: { type: 'string', minLength: 1, maxLength: 128 },
};

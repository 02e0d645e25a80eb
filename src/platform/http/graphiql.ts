import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';

const require = createRequire(import.meta.url);

/** Files of published packages, served by ourselves: the page loads nothing from anywhere else. */
const files: Readonly<Record<string, { from: string; file: string; type: string }>> = {
  'react.js': { from: 'react', file: 'umd/react.production.min.js', type: 'text/javascript' },
  'react-dom.js': { from: 'react-dom', file: 'umd/react-dom.production.min.js', type: 'text/javascript' },
  'graphiql.js': { from: 'graphiql', file: 'graphiql.min.js', type: 'text/javascript' },
  'graphiql.css': { from: 'graphiql', file: 'graphiql.min.css', type: 'text/css' },
};

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Usher GraphiQL</title>
<link rel="stylesheet" href="/graphiql/graphiql.css">
<link rel="stylesheet" href="/graphiql/page.css">
</head>
<body>
<div id="graphiql">Loading…</div>
<script src="/graphiql/react.js"></script>
<script src="/graphiql/react-dom.js"></script>
<script src="/graphiql/graphiql.js"></script>
<script src="/graphiql/page.js"></script>
</body>
</html>
`;

const pageCss = 'html, body, #graphiql { height: 100%; margin: 0; }\n';

/** Headers are typed by the person and forgotten with the page: an access token must not stay in the browser. */
const pageJs = `ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: '/graphql' }),
    defaultHeaders: JSON.stringify({ authorization: 'Bearer <access token>' }, null, 2),
    defaultQuery: '{\\n  targets {\\n    items { id name kind region }\\n  }\\n}\\n',
    shouldPersistHeaders: false,
    defaultEditorToolsVisibility: 'headers',
  }),
);
`;

/** GraphiQL at /graphiql. Only pages and scripts: what it asks goes to /graphql, with the person's own token. */
export function serveGraphiql(server: FastifyInstance): void {
  const texts: Readonly<Record<string, { text: string; type: string }>> = {
    'page.js': { text: pageJs, type: 'text/javascript' },
    'page.css': { text: pageCss, type: 'text/css' },
  };
  server.get('/graphiql', (_request, reply) => reply.type('text/html; charset=utf-8').send(page));
  for (const [name, { text, type }] of Object.entries(texts))
    server.get(`/graphiql/${name}`, (_request, reply) => reply.type(`${type}; charset=utf-8`).send(text));
  for (const [name, { from, file, type }] of Object.entries(files)) {
    const path = join(dirname(require.resolve(`${from}/package.json`)), file); // not among the package's exports
    server.get(`/graphiql/${name}`, (_request, reply) =>
      reply.type(`${type}; charset=utf-8`).send(createReadStream(path)),
    );
  }
}

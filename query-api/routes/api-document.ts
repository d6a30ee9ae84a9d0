/** `/api/v1/openapi.json` and `/api/v1/docs`: what the routes tell about themselves. */
import { z } from 'zod';
import { docsRoute } from '../docs-page.ts';
import { entityTag, knowsTag } from '../etag.ts';
import { apiDocument } from '../openapi.ts';
import { type Route } from '../route.ts';

/** `routes` is read at the first request, when every route is in it, these too. */
export function apiDocumentRoutes(routes: readonly Route[], version: string): Route[] {
  let made: { readonly body: string; readonly etag: string } | undefined;
  const make = () => {
    const body = JSON.stringify(apiDocument(routes, version));
    return { body, etag: entityTag(Buffer.from(body)) };
  };
  return [
    {
      method: 'GET',
      path: '/api/v1/openapi.json',
      parameters: {},
      about: {
        group: 'documents',
        summary: 'This document, OpenAPI 3.1',
        requestHeaders: { 'If-None-Match': 'ETag of the document that is known: 304 if it is still that' },
        answers: {
          200: { description: 'The document', body: z.record(z.string(), z.unknown()), headers: ['ETag'] },
          304: { description: 'It is as If-None-Match says', body: null, headers: ['ETag'] },
        },
        codes: [],
      },
      answer: (request) => {
        const { body, etag } = (made ??= make());
        if (knowsTag(request.header('if-none-match'), etag))
          return { status: 304, body: null, headers: { ETag: etag } };
        return { status: 200, body, headers: { ETag: etag } };
      },
    },
    docsRoute,
  ];
}

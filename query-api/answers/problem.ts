/** RFC 9457, as `problem.ts` writes it. */
import { z } from 'zod';
import { errorCodes } from '../../core/errors.ts';
import { document } from '../documents.ts';

export const problemContentType = 'application/problem+json';

export const problemDocument = document(
  'Problem',
  z
    .looseObject({
      type: z.literal('about:blank'),
      title: z.string(),
      status: z.int().min(400).max(599),
      detail: z.string().describe('What is wrong with this request'),
      code: z.enum(errorCodes),
    })
    .describe('RFC 9457. Beside the five: facts of the problem, such as parameter, device, problems'),
);

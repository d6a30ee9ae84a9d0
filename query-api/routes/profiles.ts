/** `/api/v1/profiles`: named sets of subscriptions. */
import { HoldfastError } from '../../core/errors.ts';
import { formatProfile } from '../../schemas/device-document.ts';
import { type Profile } from '../../schemas/profile.ts';
import { type ApiContext, requireTables } from '../api-context.ts';
import { knowsTag } from '../etag.ts';
import { pageOf } from '../parameters.ts';
import { paging } from '../query-parameters.ts';
import { param, type Route, success } from '../route.ts';
import { aboutProfiles } from './about-devices.ts';
import { authorOf, changedAnswer } from './devices.ts';

export function profileRoutes(context: ApiContext): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/profiles',
      parameters: paging(context.limits),
      about: aboutProfiles.list,
      answer: (request) => {
        const { limits } = context;
        const { profiles } = requireTables(context);
        const names = [...profiles.entries()].map(([name]) => name).sort();
        const { entries, next } = pageOf(names, request.parameters, limits);
        return success({ profiles: entries.map((name) => formatProfile(requireProfile(context, name))), next });
      },
    },
    {
      method: 'GET',
      path: '/api/v1/profiles/:name',
      parameters: {},
      about: aboutProfiles.read,
      answer: (request) => {
        const profile = requireProfile(context, param(request, 'name'));
        const etag = context.desired.profileTag(profile);
        if (knowsTag(request.header('if-none-match'), etag))
          return { status: 304, body: null, headers: { ETag: etag } };
        return success(formatProfile(profile), { ETag: etag });
      },
    },
    {
      method: 'PUT',
      path: '/api/v1/profiles/:name',
      parameters: {},
      about: aboutProfiles.write,
      answer: async (request) => {
        requireTables(context);
        const changed = await context.desired.putProfile(param(request, 'name'), request.body, authorOf(request));
        return changedAnswer(changed, formatProfile(changed.record), context.desired.profileTag(changed.record));
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/profiles/:name',
      parameters: {},
      about: aboutProfiles.remove,
      answer: async (request) => {
        const { name } = requireProfile(context, param(request, 'name'));
        await context.desired.deleteProfile(name, authorOf(request));
        return { status: 204, body: null };
      },
    },
  ];
}

function requireProfile(context: ApiContext, name: string): Profile {
  const profile = requireTables(context).profiles.get(name);
  if (profile !== undefined) return profile;
  const detail = `there is no profile ${name}; PUT /api/v1/profiles/{name} adds one`;
  throw new HoldfastError('PROFILE_UNKNOWN', detail, { facts: { profile: name } });
}

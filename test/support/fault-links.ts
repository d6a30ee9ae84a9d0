import { linkTo, type Link } from './link.ts';

type Address = { readonly host: string; readonly port: number };

/** One process' ways to the brokers, each through a link of its own: `route` for this process, `routes` for a child. */
export interface BrokerLinks {
  /** In the order of the brokers. */
  readonly links: readonly Link[];
  readonly routes: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export async function brokersBehindLinks(brokers: readonly string[]): Promise<BrokerLinks> {
  const links = await Promise.all(brokers.map(linkTo));
  const entries = links.map(({ target, address }) => [target, `${address.host}:${address.port}`] as const);
  return {
    links,
    routes: Object.fromEntries(entries),
    close: async () => {
      await Promise.all(links.map((link) => link.close()));
    },
  };
}

/** Throws for an address without a link: it would be a way around the faults. */
export function routeBy(routes: Readonly<Record<string, string>>): (address: Address) => Address {
  return ({ host, port }) => {
    const route = routes[`${host}:${port}`];
    if (route === undefined) throw new Error(`no link leads to ${host}:${port}`);
    const at = route.lastIndexOf(':');
    return { host: route.slice(0, at), port: Number(route.slice(at + 1)) };
  };
}

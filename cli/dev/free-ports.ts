import { createServer, type Server } from 'node:net';
import { listen } from '../../core/listen-address.ts';

const host = '127.0.0.1';
const portMax = 65_535;

async function close(server: Server): Promise<void> {
  if (server.listening) await new Promise((resolve) => server.close(resolve));
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await listen(server, { host, port }).then(
    () => true,
    () => false,
  );
  await close(server);
  return free;
}

/** `count` ports that nobody listens on, from `first` upwards; those taken are passed over. */
export async function freePortsFrom(first: number, count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let port = first; ports.length < count && port <= portMax; port += 1) {
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

/** The first of `count` consecutive free ports at or above `first`. */
export async function freePortRange(first: number, count: number): Promise<number> {
  let start = first;
  for (let port = first; port < start + count; port += 1) {
    if (port > portMax) return 0;
    if (!(await isFree(port))) start = port + 1;
  }
  return start;
}
